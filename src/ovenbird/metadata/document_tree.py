"""A tree of documents addressed by HTTP paths; a directory lists its entries one per line, as EC2's service does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.dataclass import dataclass
from ovenbird.metadata.provider import Response

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Document:
    """A leaf.

    Arguments:
        body: its content.
        content_type: its media type.
    """

    body: bytes
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Directory:
    """An inner node.

    Arguments:
        entries: its entries, in the order of the listing.
        label: if not empty, the parent lists the directory as `NAME=LABEL` instead of `NAME/`.
        bare: whether the directories in it are listed without a slash.
    """

    entries: Mapping[str, Entry]
    label: str = ""
    bare: bool = False

    def listing(self) -> str:
        """Return the entries' names."""
        return "\n".join(self._line(name, entry) for name, entry in self.entries.items())

    def _line(self, name: str, entry: Entry) -> str:
        if isinstance(entry, Document) or (self.bare and not entry.label):
            return name
        return f"{name}={entry.label}" if entry.label else f"{name}/"


Entry = Document | Directory


def text(value: str) -> Document:
    """Return a document of one string."""
    return Document(value.encode())


def read(root: Directory, path: str) -> Response:
    """Return the response for a path; repeated slashes count as one."""
    entry: Entry | None = root
    for name in filter(None, path.split("/")):
        entry = entry.entries.get(name) if isinstance(entry, Directory) else None
    match entry:
        case Directory():
            return Response(200, entry.listing().encode())
        case Document():
            return Response(200, entry.body, entry.content_type)
        case None:
            return Response(404, b"404 Not Found\n")
