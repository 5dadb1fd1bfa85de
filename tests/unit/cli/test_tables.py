"""Tables at the widths that people have: no heading and no cell is ever broken, and none is lost."""

import ast
import io
import re
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

import ovenbird
from ovenbird.cli import tables
from ovenbird.cli.tables import Paragraphs, Sheet

HEADINGS = ("name", "namespace", "underlay", "database", "switch", "controller", "metadata")
ROWS = (
    ("hv1 gateway", "ob5493abc8-hv1", "10.250.214.1", "5294", "5312", "5405", "not running"),
    ("a-rather-long-1", "ob5493abc8-a-rather-long-1", "10.250.214.2", "5292", "5299", "5407", "5408"),
)


def _text(shown: RenderableType, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(shown, soft_wrap=True)
    return out.getvalue()


def _printed(width: int) -> str:
    made = Sheet("Hypervisors and their processes", *HEADINGS)
    for row in ROWS:
        made.add_row(*row)
    return _text(made, width)


@pytest.mark.parametrize("width", [10, 40, 80, 100, 200, tables.UNLIMITED])
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


def test_a_narrow_table_of_two_columns_has_no_headings() -> None:
    made = Sheet("The cloud", "what", "where")
    made.add_row("Cloud database", "unix:/run/ovenbird/cloud.sock, tcp:127.0.0.1:6643")
    assert _text(made, 40).splitlines() == [
        *("The cloud", "Cloud database", "  unix:/run/ovenbird/cloud.sock,", "  tcp:127.0.0.1:6643", ""),
    ]


def test_output_is_as_wide_as_need_be_where_no_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert tables.console().width == tables.UNLIMITED
    monkeypatch.setenv("COLUMNS", "72")
    assert tables.console().width == 72


MEANING = "whether floating IPs are translated on the instance's host instead of the router's gateway"


@pytest.mark.parametrize("width", [10, 40, 80, 120])
def test_text_wraps_at_blanks_and_its_further_lines_are_indented(width: int) -> None:
    made = Sheet("Settings", "name", "value", "meaning")
    made.add_row("distributed_floating_ip", "true", MEANING)
    record = _text(made, min(width, 80)).splitlines()[3:-1]
    assert record[0].startswith("  meaning  whether ")
    assert all(re.match(r" {11}\S", line) for line in record[1:])
    assert " ".join(" ".join(record).split()) == f"meaning {MEANING}"
    address = "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"
    shown = _text(Paragraphs(Text("Wrong:"), [f"{address} {MEANING}"]), width).splitlines()
    assert address in shown[1]
    assert all(re.match(r" {4}\S", line) for line in shown[2:])
    assert " ".join(" ".join(shown).split()) == f"Wrong: {address} {MEANING}"


def test_no_line_of_a_table_ends_in_blanks() -> None:
    assert not re.search(r" +$", _printed(200), re.MULTILINE)


def test_commands_print_tables_through_sheets_alone() -> None:
    """Tables and panels of rich break words and cut cells off."""
    allowed = {"rich.text", "rich.console"}
    found = [
        f"{path}: {module}"
        for path in sorted(Path(ovenbird.__file__).parent.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        for module in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [name.name for name in node.names]
            if isinstance(node, ast.Import)
            else []
        )
        if module.split(".")[0] == "rich" and module not in allowed and path.name != "tables.py"
    ]
    assert not found
