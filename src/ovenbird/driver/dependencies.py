"""Dependencies between the edits of a plan, so that some can be committed without the rest.

A row that refers to a new row needs it. A row can only be deleted together with the edits that drop references to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from ovenbird.engine.outputs import Output
    from ovenbird.engine.rows import UUID, Row

Unit = tuple["Output", "Hashable"]
"""A key, or surplus row, of an output: it is written or withheld as a whole."""


class Dependencies:
    """The units of a refused plan, and the units that each depends on.

    Arguments:
        outputs: the outputs of one database; nothing pending in them is changed.
    """

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.units: list[Unit] = [(output, key) for output in outputs for key in output.unsettled]
        self._needs: dict[Unit, set[Unit]] = {}
        edits = []
        for output in outputs:
            listing = _Listing()
            try:
                output.plan(listing)
                for uuid, row, mentioned, gone in listing.edits:
                    key = output.planned_key(uuid, row)
                    if key is not None:
                        edits.append(((output, key), uuid, row, mentioned, gone))
            finally:
                output.undo(())
        inserted = {uuid: unit for unit, uuid, row, *_ in edits if row is None}
        deleted = {uuid: unit for unit, uuid, *_, gone in edits if gone}
        for unit, _, row, mentioned, _ in edits:
            for uuid in _uuids(mentioned):
                if uuid in inserted and inserted[uuid] != unit:
                    self._needs.setdefault(unit, set()).add(inserted[uuid])
            for uuid in _uuids(row.values) if row is not None else ():
                if uuid in deleted and deleted[uuid] != unit:
                    self._needs.setdefault(deleted[uuid], set()).add(unit)

    def closure(self, units: Iterable[Unit]) -> set[Unit]:
        """Return units together with all units that they depend on."""
        found = set(units)
        waiting = list(found)
        while waiting:
            fresh = self._needs.get(waiting.pop(), set()) - found
            found |= fresh
            waiting += fresh
        return found


class _Listing:
    """An editor that records each edit: its row, the values that it writes, and whether it deletes."""

    def __init__(self) -> None:
        self.edits: list[tuple[UUID, Row | None, Iterable[Any], bool]] = []

    def insert_rows(self, table: type[Row], rows: Mapping[UUID, list[Any]]) -> None:  # noqa: ARG002 - as Editor has it
        self.edits += [(uuid, None, values, False) for uuid, values in rows.items()]

    def update(self, row: Row, values: Mapping[str, Any]) -> None:
        self.edits.append((row.uuid, row, values.values(), False))

    def mutate(self, row: Row, column: str, *, insert: Iterable[Any] = (), delete: Iterable[Any] = ()) -> None:  # noqa: ARG002
        self.edits.append((row.uuid, row, insert, False))

    def delete(self, row: Row) -> None:
        self.edits.append((row.uuid, row, (), True))


def _uuids(values: Iterable[Any]) -> Iterable[Any]:
    """Yield the parts of values that may be UUIDs: strings, members of sets, keys and values of maps."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value
            yield from value.values()
        elif hasattr(value, "__iter__"):
            yield from value
