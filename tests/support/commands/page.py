"""What `docs/reference/commands.md` says of each command of each daemon."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "commands.md"
EVERY = "every daemon"
_ROW = re.compile(r"\| `([^`]+)` \| (same|form|ours|not here) \| (.*) ?\|")


def rows() -> dict[str, dict[str, str]]:
    """Return the verdict about each command, by daemon and command."""
    found: dict[str, dict[str, str]] = {}
    here: dict[str, str] = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            here = found.setdefault(line[3:], {})
        elif line.startswith("| `"):
            row = _ROW.fullmatch(line)
            assert row is not None, line
            here[row[1]] = row[2]
    return found
