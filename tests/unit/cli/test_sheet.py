"""Tables at the widths that people have: no heading and no cell is ever broken, and none is lost."""

import io

import pytest
from rich.console import Console

from ovenbird.cli import sheet
from ovenbird.cli.sheet import Sheet

HEADINGS = ("name", "namespace", "underlay", "database", "switch", "controller", "metadata")
ROWS = (
    ("hv1 gateway", "ob5493abc8-hv1", "10.250.214.1", "5294", "5312", "5405", "not running"),
    ("a-rather-long-1", "ob5493abc8-a-rather-long-1", "10.250.214.2", "5292", "5299", "5407", "5408"),
)


def _printed(width: int) -> str:
    made = Sheet("Hypervisors and their processes", *HEADINGS)
    for row in ROWS:
        made.add_row(*row)
    out = io.StringIO()
    Console(file=out, width=width).print(made)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 80, 100, 200, sheet.UNLIMITED])
def test_no_heading_and_no_cell_is_broken_at_any_width(width: int) -> None:
    text = _printed(width)
    for word in (*HEADINGS[1:], *(cell for row in ROWS for cell in row)):
        assert word in text
    assert text.startswith("Hypervisors and")


def test_a_row_is_a_line_where_there_is_room_and_a_few_lines_where_not() -> None:
    wide = [line.split() for line in _printed(200).splitlines()]
    assert ["a-rather-long-1", "ob5493abc8-a-rather-long-1", "10.250.214.2", "5292", "5299", "5407", "5408"] in wide
    assert list(HEADINGS) in wide
    narrow = _printed(80).splitlines()
    assert all(len(line) <= 80 for line in narrow)
    at = narrow.index("a-rather-long-1")
    assert narrow[at + 1 : at + 3] == ["  namespace   ob5493abc8-a-rather-long-1", "  underlay    10.250.214.2"]


def test_output_is_as_wide_as_need_be_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert sheet.console().width == sheet.UNLIMITED
    monkeypatch.setenv("COLUMNS", "72")
    assert sheet.console().width == 72
