"""Tables that are readable at any width: a table if the terminal is wide enough, else a few lines for each row.

No heading and no cell is wrapped, since a wrapped address can be neither read nor copied. Without a terminal the width
is not limited, since the reader is a program.
"""

import os
import sys
from collections.abc import Iterator

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

UNLIMITED = 10_000
"""Columns of output that is no terminal's."""


def console() -> Console:
    """Return where commands print: as wide as the terminal or as COLUMNS says, else as wide as need be."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if narrow else UNLIMITED)


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
        yield Text(self._title, style="bold")
        table = self._table()
        needed = Measurement.get(console, options.update(width=UNLIMITED), table).maximum
        if needed <= options.max_width:
            yield table
        else:
            yield from self._records()
        yield Text()

    def _table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in self._headings:
            table.add_column(heading, no_wrap=True)
        for row in self._rows:
            table.add_row(*row)
        return table

    def _records(self) -> Iterator[Text]:
        """Yield the lines of each row: its first cell, then the others with their headings."""
        wide = max(map(len, self._headings[1:]), default=0)
        for name, *cells in self._rows:
            yield Text.assemble((name.plain, "bold"))
            for heading, cell in zip(self._headings[1:], cells, strict=True):
                yield Text.assemble(f"  {heading:{wide}}  ", cell)
