"""What an installed manual page lists: the entries of a section, without the marks of their typography."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = Path("/usr/share/man")
_FONT = re.compile(r"\\f\(?[BIPRW]{1,2}|\\&")
_CHARACTERS = {r"\-": "-", r"\[char46]": ".", r"\(dq": '"', r"\(cq": "'", r"\(aq": "'", r"\e": "\\"}


def source(page: str, section: int) -> str | None:
    """Return a page's text as it was written; None if it is not installed."""
    path = PAGES / f"man{section}" / f"{page}.{section}.gz"
    return gzip.decompress(path.read_bytes()).decode() if path.exists() else None


def plain(text: str) -> str:
    """Return a line without fonts and escapes."""
    text = _FONT.sub("", text)
    for mark, character in _CHARACTERS.items():
        text = text.replace(mark, character)
    return text


def entries(text: str, heading: str) -> Iterator[str]:
    """Yield the terms of all lists below a heading, up to the next heading of its rank."""
    inside = term = False
    for line in text.splitlines():
        if line.startswith(".SH"):
            inside = line.removeprefix(".SH").strip(' "').upper() == heading
        elif not inside:
            continue
        elif line.startswith((".IP ", ".IQ ")) and not line.startswith((r".IP \(bu", r'.IP "\(bu')):
            yield plain(line[4:].strip('"'))
        elif term and not line.startswith("."):
            yield plain(line)
        term = line.startswith((".TP", ".TQ", r".IP \(bu", r'.IP "\(bu'))


def commands(page: str, section: int, *headings: str) -> set[str] | None:
    """Return the names of the commands of a daemon; None if the page is not installed."""
    text = source(page, section)
    if text is None:
        return None
    found = {entry.split()[0] for heading in headings for entry in entries(text, heading) if entry.strip()}
    return {name for name in found if re.fullmatch(r"[a-z][a-z/-]+[a-z]", name)}
