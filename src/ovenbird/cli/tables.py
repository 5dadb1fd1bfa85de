"""Output that is readable at any width: tables where the terminal is wide enough, else a few lines for each row.

No heading and no word of a cell is broken, since a broken address can be neither read nor copied: text wraps at blanks
only, and its further lines are indented. Without a terminal the width is not limited, since the reader is a program.
"""

import os
import sys
import textwrap
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

UNLIMITED = 10_000
"""The width in columns of output that does not go to a terminal."""
_NARROWEST = 20
"""The smallest width in columns of wrapped text, however narrow the terminal is."""
_GAP = "  "
"""The separator of columns."""


def console() -> Console:
    """Return the console of commands: as wide as the terminal or COLUMNS, otherwise of unlimited width."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if narrow else UNLIMITED)


def show(shown: RenderableType) -> None:
    """Print on the console of commands; words that are wider than it are neither broken nor cut off."""
    console().print(shown, soft_wrap=True)


def hanging(head: Text, *, body: Text, width: int, indent: int) -> Iterator[Text]:
    """Yield a text's lines, wrapped at blanks.

    Arguments:
        head: stands before the first line.
        body: the text, in one style.
        width: of a line, in columns; a longer word has a line of its own and exceeds it.
        indent: the blanks before each further line.
    """
    room = max(width - max(head.cell_len, indent), _NARROWEST)
    lines = textwrap.wrap(body.plain, room, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        part = Text.assemble(head if number == 0 else " " * indent, (line, body.style))
        part.rstrip()
        yield part


class Paragraphs:
    """A title, and lines below it that wrap at blanks.

    Arguments:
        title: stands above; an empty one does not.
        lines: each indented by two columns.
    """

    def __init__(self, title: Text, lines: Iterable[str | Text]) -> None:
        self._title = title
        self._lines = [Text(line) if isinstance(line, str) else line for line in lines]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Print the title and the lines."""
        del console
        yield self._title
        for line in self._lines:
            yield from hanging(Text("  "), body=line, width=options.max_width, indent=4)


class Sheet:
    """A title, headings and rows.

    Arguments:
        title: stands above.
        headings: of the columns; the first column names the row.
    """

    def __init__(self, title: str, *headings: str) -> None:
        self._title = title
        self._headings = headings
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """Add a row, with a cell for each heading."""
        self._rows.append([Text(cell) if isinstance(cell, str) else cell for cell in cells])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Print the sheet in the form that fits."""
        del console
        yield Text(self._title, style="bold")
        columns = zip(*self._rows, strict=True) if self._rows else ((),) * len(self._headings)
        widths = [
            max([cell_len(heading), *(cell.cell_len for cell in cells)])
            for heading, cells in zip(self._headings, columns, strict=True)
        ]
        total = sum(widths) + len(_GAP) * (len(widths) - 1)
        if total <= options.max_width:
            yield _line([Text(heading, style="bold") for heading in self._headings], widths)
            yield Text(("-" if options.ascii_only else "─") * total)
            yield from (_line(row, widths) for row in self._rows)
        else:
            yield from self._records(options.max_width)
        yield Text()

    def _records(self, width: int) -> Iterator[Text]:
        """Yield the lines of each row: its first cell, then the others with their headings, or a single one without."""
        wide = max(map(cell_len, self._headings[1:]), default=0)
        for name, *cells in self._rows:
            yield Text.assemble((name.plain, "bold"))
            for heading, cell in zip(self._headings[1:], cells, strict=True):
                head = Text(f"  {heading:{wide}}{_GAP}" if len(cells) > 1 else "  ")
                yield from hanging(head, body=cell, width=width, indent=head.cell_len)


def _line(cells: list[Text], widths: list[int]) -> Text:
    """Return a row's line, in which each cell except the last has the width of its column."""
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell).append(" " * (width - cell.cell_len) + _GAP)
    line.rstrip()
    return line
