"""Detect that all rows of Cloud have other UUIDs than before: the ids of the API have changed, which is never intended.

`ovsdb-client restore` does this where `ovsdb-server` serves Cloud. Every port would get a new name in Northbound, and
every instance would lose its network. So the compiler stops, which leaves traffic as it is, and says what to do. It
continues when the old ids are back, or when it is told that the new ones are to stay.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.model.cloud import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovenbird.daemon.unixctl import Unixctl
    from ovenbird.driver.engine_driver import EngineDriver
    from ovenbird.engine.rows import UUID
    from ovenbird.ovsdb.commit import Commit, RowChange
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

_SAME = tuple(column.index for column in (Network.name, Network.project_id, Network.created_at))
"""The columns of a network that a restore under another id does not change."""


class Renumbering:
    """Pauses a compiler after a restore that has given Cloud's rows other ids.

    Arguments:
        cloud: the database.
        driver: the compiler.
    """

    def __init__(self, cloud: Client, driver: EngineDriver) -> None:
        self._table = cloud.store.table(Network)
        self._driver = driver
        self._lost: frozenset[UUID] = frozenset()
        cloud.on_change(self._changed)

    def register(self, unixctl: Unixctl) -> None:
        """Register the command by which an operator accepts the new ids."""
        unixctl.register("cloud/accept-ids", lambda _: self._accept())

    def _accept(self) -> str:
        if not self._lost:
            return "the ids of Cloud are as they were\n"
        self._go_on("the new ids of Cloud are to stay: the compiler goes on")
        return ""

    def _changed(self, commit: Commit) -> None:
        changes = commit.changes.get(Network.TABLE, ())
        if self._lost and any(change.old is None and change.uuid in self._lost for change in changes):
            self._go_on("the ids of Cloud are back: the compiler goes on")
        elif not self._lost and (lost := self._renumbered(changes)):
            self._lost = lost
            self._driver.pause()
            log.error(
                "the same networks have other ids now: Cloud was restored by a server that gives rows new UUIDs. "
                "Northbound stays as it is. Restore the backup's file, which has the ids (docs/operate.md); if the new "
                "ids are right, use the command cloud/accept-ids"
            )

    def _renumbered(self, changes: Sequence[RowChange]) -> frozenset[UUID]:
        """Return the former ids, if every network has a new id and some networks differ in nothing else."""
        gone = {tuple(c.old[i] for i in _SAME) for c in changes if c.old is not None and c.new is None}
        come = [tuple(c.new[i] for i in _SAME) for c in changes if c.old is None and c.new is not None]
        if not gone or len(come) < len(self._table.rows) or gone.isdisjoint(come):
            return frozenset()
        return frozenset(change.uuid for change in changes if change.new is None)

    def _go_on(self, why: str) -> None:
        self._lost = frozenset()
        log.warning("%s", why)
        self._driver.resume()
