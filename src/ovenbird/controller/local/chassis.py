"""A chassis's own rows in Southbound: Chassis, its Encaps, Chassis_Private; and the acknowledgement of nb_cfg.

nb_cfg is written only when everything that concerns this chassis has been received and the switch has confirmed the
resulting flows, so that `ovn-nbctl --wait=hv sync` returns when packets are treated accordingly.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.edits import EDIT, EDIT_AFTER_FLOWS, NOW, EditRelation, keys, to
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import Settings, integration_bridge, own_chassis, settings
from ovenbird.engine.lookups import find, get, rows
from ovenbird.engine.rules import singleton
from ovenbird.engine.views import view
from ovenbird.model import chassis_findings
from ovenbird.model.options import flag
from ovenbird.model.sb import Chassis, ChassisPrivate, Encap, IGMPGroup, PortBinding, SBGlobal
from ovenbird.model.vswitch import Bridge, OpenVSwitch
from ovenbird.ovsdb.errors import OvsdbError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.controller.edits import Edit
    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.ovsdb.replica import Replica
    from ovenbird.ovsdb.transaction import Transaction

log = logging.getLogger(__name__)

ENCAP_PREFERENCE = {"geneve": 3, "stt": 2, "vxlan": 1}
"""Encapsulations by how well they carry a packet's logical metadata; the best that both ends have is used."""

# What this controller can do that northd has to know about (Chassis.other_config of OVN 23.03, and from
# `fdb-timestamp` on of 25.03).
_FEATURES = {
    "port-up-notif": "true",
    "ct-no-masked-label": "true",
    "ovn-ct-lb-related": "true",
    "mac-binding-timestamp": "true",
    "fdb-timestamp": "true",
    "ls-dpg-column": "true",
    "ct-commit-nat-v2": "true",
    "ct-commit-to-zone": "true",
    "ct-next-zone": "true",
}


@view
def other_config() -> dict[str, str]:
    """Return the contents of Chassis.other_config."""
    bridge = integration_bridge()
    switch = rows(OpenVSwitch)
    types = switch[0].iface_types if switch else frozenset()
    return {
        **settings().published,
        **_FEATURES,
        "datapath-type": bridge.datapath_type if bridge is not None else "",
        "iface-types": ",".join(sorted(types)),
    }


DEFAULT_ENCAP = "is_default"
"""The option of the encap by which a chassis is reached where a port asks for no other (ovn-sb(5), Encap)."""

WantedEncap = tuple[str, str, tuple[tuple[str, str], ...]]
"""Type, address and options of an encapsulation."""


def wanted_encaps(mine: Settings) -> list[WantedEncap]:
    """Return the encaps that the settings ask for; that of `ovn-encap-ip-default` is marked."""
    options = dict.fromkeys(mine.encap_ips, mine.encap_options)
    if mine.default_encap_ip:
        options[mine.default_encap_ip] = tuple(sorted((*mine.encap_options, (DEFAULT_ENCAP, "true"))))
    return [(kind, ip, options[ip]) for kind in mine.encap_types if kind in ENCAP_PREFERENCE for ip in mine.encap_ips]


class Registration(NamedTuple):
    """The desired rows of a chassis.

    Arguments:
        relation: `CHASSIS`.
        name: the chassis's.
        hostname: its host's.
        zones: its transport zones.
        config: Chassis.other_config, as pairs.
        encaps: type, address and options of each encapsulation, these as sorted pairs.
        previous: the name under which it was registered before; empty if that has not changed.
    """

    relation: EditRelation[..., Any]
    name: str
    hostname: str
    zones: frozenset[str]
    config: tuple[tuple[str, str], ...]
    encaps: tuple[WantedEncap, ...]
    previous: str

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return Chassis

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the registration of chassis {self.name}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Insert the rows, or update them.

        Arguments:
            store: Southbound's rows.
            transaction: on that database.
        """
        row, private = self._own_rows(store, transaction)
        self._evict(store, transaction)
        wanted = {"hostname": self.hostname, "transport_zones": self.zones, "other_config": dict(self.config)}
        there = {(e.type, e.ip, tuple(sorted(e.options.items()))): e.uuid for e in (row.encaps if row else ())}
        uuids = frozenset(there.get(encap) or transaction.insert(Encap, self._encap(*encap)) for encap in self.encaps)
        if row is None:
            uuid = transaction.insert(Chassis, {"name": self.name, "encaps": uuids, **wanted})
        else:
            uuid = row.uuid
            transaction.update(row, {"encaps": uuids})
        for encap in row.encaps if row is not None else ():
            if encap.uuid in uuids and encap.chassis_name != self.name:
                transaction.update(encap, {"chassis_name": self.name})
        if private is None:
            transaction.insert(ChassisPrivate, {"name": self.name, "chassis": uuid})
        else:
            transaction.update(private, {"chassis": uuid})

    def _encap(self, kind: str, ip: str, options: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        return {"type": kind, "ip": ip, "options": dict(options), "chassis_name": self.name}

    def _own_rows(self, store: Store, transaction: Transaction) -> tuple[Any, Any]:
        """Return the chassis's rows, None for a missing one; rows with its previous name are renamed."""
        found = []
        for column in (Chassis.name, ChassisPrivate.name):
            row = store.find(column, self.name)
            if row is None and self.previous:
                row = store.find(column, self.previous)
                if row is not None:
                    transaction.update(row, {"name": self.name})
            found.append(row)
        return found[0], found[1]

    def _evict(self, store: Store, transaction: Transaction) -> None:
        """Remove chassis of other names that hold this one's addresses."""
        index = store.table(Encap).index(Encap.type, Encap.ip)
        stale = {e.chassis_name for kind, ip, _ in self.encaps for e in index.rows((kind, ip))}
        stale -= {self.name, self.previous}
        for old in sorted(stale):
            for row_class, column in ((Chassis, Chassis.name), (ChassisPrivate, ChassisPrivate.name)):
                row = store.find(column, old)
                if row is not None:
                    log.warning("removing %s %s, which holds this chassis's address", row_class.TABLE, old)
                    transaction.delete(row)


CHASSIS = EditRelation("chassis to register", Registration)


@singleton
def configuration() -> Iterator[Fact]:
    """Report which parts of this chassis's configuration have no effect, and what is missing."""
    mine = settings()
    if not mine.chassis or progress().stopping:
        return
    yield from map(warning, mine.problems)
    for kind in mine.encap_types:
        if kind not in ENCAP_PREFERENCE:
            yield warning(f"Unknown tunnel type: {kind}")
    if not wanted_encaps(mine):
        yield warning("Need to specify an encap type and ip; until then this chassis is not registered in Southbound")
    for network, name in mine.bridge_mappings.items():
        if find(Bridge.name, name) is None:
            yield warning(f"bridge '{name}' not found for network '{network}'")


@singleton
def registration() -> Iterator[Fact]:
    """Insert the chassis's rows, and keep them equal to the settings."""
    mine = settings()
    bridge = integration_bridge()
    encaps = wanted_encaps(mine)
    if not mine.chassis or not encaps or bridge is None or progress().stopping:
        return
    zones = mine.transport_zones
    config = other_config()
    row: Chassis | None = find(Chassis.name, mine.chassis)
    private = find(ChassisPrivate.name, mine.chassis)
    if row is not None:  # an edit for each column, since a role may permit some columns only, not the hostname
        if row.hostname != mine.hostname:
            yield EDIT(row, to(Chassis.hostname, mine.hostname))
        if row.transport_zones != zones:
            yield EDIT(row, to(Chassis.transport_zones, zones))
        stored = row.other_config
        differing = [(key, value) for key, value in config.items() if stored.get(key) != value]
        if differing:
            yield EDIT(row, keys(Chassis.other_config, *differing))
        there = {(e.type, e.ip, tuple(sorted(e.options.items()))) for e in row.encaps}
        if there == set(encaps) and private is not None:
            if ChassisPrivate.chassis.raw(private) != row.uuid:
                yield EDIT(private, to(ChassisPrivate.chassis, row.uuid))
            return
    yield CHASSIS(
        name=mine.chassis,
        hostname=mine.hostname,
        zones=zones,
        config=tuple(sorted(config.items())),
        encaps=tuple(encaps),
        previous=progress().previous,
    )


@singleton
def acknowledgement() -> Iterator[Fact]:
    """Acknowledge SB_Global.nb_cfg, in Southbound unless that is turned off, and in the bridge's external_ids."""
    head = rows(SBGlobal)
    state = progress()
    if not head or not state.settled or state.stopping:
        return
    number, me = head[0].nb_cfg, own_chassis()
    if me is None:
        return
    if flag(head[0].options, "enable_chassis_nb_cfg_update", default=True):  # ovn-sb(5) of OVN 26.03
        yield from _acknowledged(number, me)
    bridge = integration_bridge()
    if bridge is not None and bridge.external_ids.get("ovn-nb-cfg") != str(number):
        written = keys(Bridge.external_ids, ("ovn-nb-cfg", str(number)), ("ovn-nb-cfg-ts", NOW))
        yield EDIT_AFTER_FLOWS(bridge, written)


def _acknowledged(number: int, me: UUID) -> Iterator[Fact]:
    """Acknowledge nb_cfg in Southbound.

    Arguments:
        number: what it is.
        me: the Chassis row of this chassis.
    """
    private = find(ChassisPrivate.name, settings().chassis)
    if private is not None:
        if private.nb_cfg != number:
            answer = (to(ChassisPrivate.nb_cfg, number), to(ChassisPrivate.nb_cfg_timestamp, NOW))
            yield EDIT_AFTER_FLOWS(private, *answer)
    else:  # before there was such a table, northd looked here
        row = get(Chassis, me)
        if row is not None and row.nb_cfg != number:
            yield EDIT_AFTER_FLOWS(row, to(Chassis.nb_cfg, number))


def is_acknowledgement(edit: Edit) -> bool:
    """Return whether an edit acknowledges nb_cfg in Southbound."""
    changes = getattr(edit, "changes", ())
    return edit.row_class in (Chassis, ChassisPrivate) and any(name == "nb_cfg" for name, _ in changes)


@singleton
def findings() -> Iterator[Fact]:
    """Write this host's findings to Southbound, for the API to show."""
    state, private = progress(), find(ChassisPrivate.name, settings().chassis)
    if private is None or state.stopping or state.findings is None:
        return
    told = state.findings or None
    if private.external_ids.get(chassis_findings.KEY) != told:
        yield EDIT(private, keys(ChassisPrivate.external_ids, (chassis_findings.KEY, told)))


async def unregister(southbound: Replica, name: str) -> None:
    """Remove a chassis from Southbound with its groups, and release its ports; what is refused is logged and stays."""
    transaction = southbound.transaction()
    row = southbound.store.find(Chassis.name, name)
    private = southbound.store.find(ChassisPrivate.name, name)
    if row is not None:
        for port in southbound.store.select(PortBinding.chassis, row.uuid):
            transaction.update(port, {"chassis": None, "encap": None, "up": False})
        for group in southbound.store.select(IGMPGroup.chassis, row.uuid):
            transaction.delete(group)
        transaction.delete(row)
    if private is not None:
        transaction.delete(private)
    try:
        if not transaction.empty:
            await southbound.commit(transaction)
    except OvsdbError as error:
        log.warning("this chassis could not be removed from Southbound: %s", error)
