"""Edits: columns of rows that should have other values, from facts to transactions.

An edit is a difference that a rule has found; it is pending until the rule no longer finds it. Writing it makes the
rule run again. An edit that was written therefore disappears, and one that was refused, or reverted by another client
before the rule saw it, is still there and is tried again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from ovenbird.controller.facts import ADD_PORT, BRIDGE, CHASSIS, DROP_PORT, EDIT, EDIT_AFTER_FLOWS
from ovenbird.model.sb import Chassis, ChassisPrivate, Encap, PortBinding
from ovenbird.model.vswitch import Bridge, Interface, OpenVSwitch, Port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Store
    from ovenbird.ovsdb.errors import OvsdbError
    from ovenbird.ovsdb.transaction import Transaction

log = logging.getLogger(__name__)

CLAIM_PAUSE = 0.5
"""Seconds between two claims of a port that another chassis claims too (the original's)."""
REFUSAL_PAUSE = (1.0, 64.0)
"""Shortest and longest pause, in seconds, before an edit that the database refused is tried again."""


_STAMPS = {"ovn-installed": "ovn-installed-ts", "ovn-nb-cfg": "ovn-nb-cfg-ts"}
"""Keys of external_ids whose last change, in milliseconds since the epoch, stands under another key."""


class RowEdits:
    """The outstanding edits of one database.

    Arguments:
        store: the database's rows.
        clock: seconds that only grow.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self.clock = clock
        self.outstanding: dict[Fact, None] = {}
        self.confirmed: dict[Fact, None] = {}
        self._claims: dict[str, float] = {}
        self._staged: list[Fact] = []
        self._refused: dict[Fact, tuple[float, float]] = {}  # when each may be tried again, and the pause before that

    def absorb(self, added: Iterable[Fact], removed: Iterable[Fact]) -> None:
        """Take in a wave's facts, those that concern this database."""
        for fact in removed:
            self.outstanding.pop(fact, None)
            self.confirmed.pop(fact, None)
            self._refused.pop(fact, None)
        for fact in added:
            if self.concerns(fact):
                self.outstanding[fact] = None

    def concerns(self, fact: Fact) -> bool:
        """Return whether a fact is about a row of this database."""
        kind = fact[0]
        row_class = fact[1] if kind in (EDIT, EDIT_AFTER_FLOWS) else Chassis if kind is CHASSIS else Port
        return self.store.has(row_class)

    def waiting(self) -> list[Fact]:
        """Return the edits that wait for the switch's confirmation of what has been yielded so far."""
        return [fact for fact in self.outstanding if fact[0] is EDIT_AFTER_FLOWS and fact not in self.confirmed]

    def confirm(self, facts: Iterable[Fact]) -> bool:
        """Let edits be written that waited for the switch; return whether any is still outstanding."""
        found = [fact for fact in facts if fact in self.outstanding]
        self.confirmed.update(dict.fromkeys(found))
        return bool(found)

    def stage(self, transaction: Transaction, only: Collection[Fact] | None = None) -> float:
        """Put every edit that may be written into a transaction.

        Arguments:
            transaction: the transaction.
            only: some edits in their order, if not all of them.

        Returns:
            Seconds after which to look again, because an edit has to wait, the one that waits least; 0 if none has.
        """
        now = self.clock() if self._refused else 0.0
        chosen = self.outstanding if only is None else [f for f in only if f in self.outstanding]
        self._staged = [f for f in chosen if f[0] is not EDIT_AFTER_FLOWS or f in self.confirmed]
        pauses = [self._refused[f][0] - now for f in self._staged if f in self._refused]
        self._staged = [f for f in self._staged if f not in self._refused or self._refused[f][0] <= now]
        self._staged = [f for f in self._staged if not _in_vain(transaction, f)]
        for fact in self._staged:
            kind = fact[0]
            if kind is EDIT or kind is EDIT_AFTER_FLOWS:
                pauses.append(self._edit(transaction, *fact[1:]))
            elif kind is CHASSIS:
                self._chassis(transaction, *fact[1:])
            elif kind is ADD_PORT:
                self._add_port(transaction, *fact[1:])
            elif kind is DROP_PORT:
                self._drop_port(transaction, *fact[1:])
            elif kind is BRIDGE:
                self._bridge(transaction, *fact[1:])
        return min([pause for pause in pauses if pause > 0], default=0)

    @property
    def staged(self) -> list[Fact]:
        """The edits that were staged last."""
        return self._staged

    def refuse(self, fact: Fact, refusal: OvsdbError) -> None:
        """Leave out, for a while that doubles each time, an edit that the database refuses by itself."""
        _, pause = self._refused.get(fact, (0.0, REFUSAL_PAUSE[0] / 2))
        pause = min(2 * pause, REFUSAL_PAUSE[1])
        if fact not in self._refused:
            log.error("%s refuses %s, which is left out: %s", self.store.name, _shown(fact), refusal)
        self._refused[fact] = (self.clock() + pause, pause)

    @property
    def undone(self) -> bool:
        """Whether an edit that was staged last is outstanding; ask once a wave has seen what came of it."""
        return any(fact in self.outstanding for fact in self._staged)

    # -- one kind of fact each ------------------------------------------------------------------------------------

    def _edit(self, transaction: Transaction, row_class: Any, uuid: Any, changes: tuple[tuple[str, Any], ...]) -> float:
        row = self.store.table(row_class).rows.get(uuid)
        if row is None:
            return 0
        if row_class is PortBinding and (pause := self._contended(row, changes)):
            return pause
        if row_class is PortBinding and changes[0] == ("chassis", None):  # what another chassis has taken stays its
            transaction.wait(row, {"chassis": PortBinding.chassis.raw(row)})
        for name, value in changes:
            column = row_class.BY_NAME[name]
            if isinstance(column.default, dict):
                put = {key: v for key, v in value if v is not None}
                put |= {_STAMPS[key]: str(int(time.time() * 1000)) for key in put if key in _STAMPS}
                transaction.mutate(row, name, delete=[*{key: None for key, _ in value} | put], insert=put)
            elif column.many and isinstance(value, tuple):
                gained, lost = [m for m, there in value if there], [m for m, there in value if not there]
                transaction.mutate(row, name, insert=gained, delete=lost)
            else:
                transaction.update(row, {name: value})
        if row_class is ChassisPrivate and changes[0][0] == "nb_cfg":
            transaction.update(row, {"nb_cfg_timestamp": int(time.time() * 1000)})
        return 0

    def _contended(self, port: PortBinding, changes: tuple[tuple[str, Any], ...]) -> float:
        """Return how long to leave a port to another chassis that claims it too."""
        if changes[0] != ("chassis", changes[0][1]) or changes[0][1] is None or PortBinding.chassis.raw(port) is None:
            return 0
        now = self.clock()
        since = now - self._claims.get(port.uuid, -CLAIM_PAUSE)
        if since < CLAIM_PAUSE:
            return CLAIM_PAUSE - since
        self._claims[port.uuid] = now
        log.info("port %s is claimed by another chassis: claiming it", port.logical_port)
        return 0

    def _chassis(self, transaction: Transaction, name: str, hostname: str, zones: frozenset[str], config: Any,
                 encaps: tuple[tuple[str, str], ...], options: Any, previous: str) -> None:  # fmt: skip
        row, private = self._own_rows(transaction, name, previous)
        self._evict(transaction, {name, previous}, encaps)
        wanted = {"hostname": hostname, "transport_zones": zones, "other_config": dict(config)}
        there = {(e.type, e.ip, tuple(sorted(e.options.items()))): e.uuid for e in (row.encaps if row else ())}
        uuids = frozenset(
            there.get((kind, ip, options))
            or transaction.insert(Encap, {"type": kind, "ip": ip, "options": dict(options), "chassis_name": name})
            for kind, ip in encaps
        )
        if row is None:
            uuid = transaction.insert(Chassis, {"name": name, "encaps": uuids, **wanted})
        else:
            uuid = row.uuid
            transaction.update(row, {"encaps": uuids})
        for encap in row.encaps if row is not None else ():
            if encap.uuid in uuids and encap.chassis_name != name:
                transaction.update(encap, {"chassis_name": name})
        if private is None:
            transaction.insert(ChassisPrivate, {"name": name, "chassis": uuid})
        else:
            transaction.update(private, {"chassis": uuid})

    def _own_rows(self, transaction: Transaction, name: str, previous: str) -> tuple[Any, Any]:
        """Return the chassis's rows, None for one that is not there; what has its previous name is renamed."""
        found = []
        for column in (Chassis.name, ChassisPrivate.name):
            row = self.store.find(column, name)
            if row is None and previous:
                row = self.store.find(column, previous)
                if row is not None:
                    transaction.update(row, {"name": name})
            found.append(row)
        return found[0], found[1]

    def _evict(self, transaction: Transaction, names: set[str], encaps: tuple[tuple[str, str], ...]) -> None:
        """Remove chassis of other names that hold this one's addresses."""
        index = self.store.table(Encap).index(Encap.type, Encap.ip)
        stale = {e.chassis_name for pair in encaps for e in index.rows(pair)} - names
        for old in sorted(stale):
            for row_class, column in ((Chassis, Chassis.name), (ChassisPrivate, ChassisPrivate.name)):
                row = self.store.find(column, old)
                if row is not None:
                    log.warning("removing %s %s, which holds this chassis's address", row_class.TABLE, old)
                    transaction.delete(row)

    def _add_port(self, transaction: Transaction, bridge: Any, name: str, kind: str, options: Any, ids: Any) -> None:
        row = self.store.table(Bridge).rows.get(bridge)
        if row is None:
            return
        interface = transaction.insert(Interface, {"name": name, "type": kind, "options": dict(options)})
        values = {"name": name, "interfaces": frozenset([interface]), "external_ids": dict(ids)}
        transaction.mutate(row, "ports", insert=[transaction.insert(Port, values)])

    def _drop_port(self, transaction: Transaction, bridge: Any, port: Any) -> None:
        row = self.store.table(Bridge).rows.get(bridge)
        if row is not None:
            transaction.mutate(row, "ports", delete=[port])

    def _bridge(self, transaction: Transaction, name: str, datapath_type: str) -> None:
        root = next(iter(self.store.table(OpenVSwitch).rows.values()))
        interface = transaction.insert(Interface, {"name": name, "type": "internal"})
        port = transaction.insert(Port, {"name": name, "interfaces": frozenset([interface])})
        values = {
            "name": name, "datapath_type": datapath_type, "fail_mode": "secure", "ports": frozenset([port]),
            "other_config": {"disable-in-band": "true"},
        }  # fmt: skip
        transaction.mutate(root, "bridges", insert=[transaction.insert(Bridge, values)])


def _in_vain(transaction: Transaction, fact: Fact) -> bool:
    """Return whether the server lacks all columns that an edit is about."""
    return fact[0] in (EDIT, EDIT_AFTER_FLOWS) and transaction.lacks(fact[1], [name for name, _ in fact[3]])


def _shown(fact: Fact) -> str:
    """Return what an edit is about, for logs."""
    if fact[0] in (EDIT, EDIT_AFTER_FLOWS):
        _, row_class, uuid, changes = fact
        return f"{row_class.TABLE} {uuid}: {', '.join(name for name, _ in changes)}"
    return f"{fact[0].name} {fact[1] if fact[0] in (CHASSIS, BRIDGE) else fact[2]}"
