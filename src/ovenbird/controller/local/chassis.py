"""A chassis's own rows in Southbound: Chassis, its Encaps, Chassis_Private; and the acknowledgement of nb_cfg.

nb_cfg is written only when everything that concerns this chassis has been received and the switch has confirmed the
resulting flows, so that `ovn-nbctl --wait=hv sync` returns when packets are treated accordingly.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.controller.facts import CHASSIS, EDIT, EDIT_AFTER_FLOWS
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import Settings, integration_bridge, own_chassis, settings
from ovenbird.engine.lookups import find, get, rows
from ovenbird.engine.rules import singleton
from ovenbird.engine.views import view
from ovenbird.model.chassis import FINDINGS
from ovenbird.model.sb import Chassis, ChassisPrivate, PortBinding, SBGlobal
from ovenbird.model.vswitch import Bridge, OpenVSwitch
from ovenbird.ovsdb.errors import OvsdbError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.ovsdb.replica import Replica

log = logging.getLogger(__name__)

ENCAP_PREFERENCE = {"geneve": 3, "stt": 2, "vxlan": 1}
"""Encapsulations by how well they carry a packet's logical metadata; the best that both ends have is used."""

# What this controller can do that northd has to know about (Chassis.other_config of OVN 23.03).
_FEATURES = {
    "port-up-notif": "true",
    "ct-no-masked-label": "true",
    "ovn-ct-lb-related": "true",
    "mac-binding-timestamp": "true",
}


@view
def other_config() -> dict[str, str]:
    """Return what Chassis.other_config says about this chassis."""
    bridge = integration_bridge()
    switch = rows(OpenVSwitch)
    types = switch[0].iface_types if switch else frozenset()
    return {
        **settings().published,
        **_FEATURES,
        "datapath-type": bridge.datapath_type if bridge is not None else "",
        "iface-types": ",".join(sorted(types)),
    }


def wanted_encaps(mine: Settings) -> list[tuple[str, str]]:
    """Return the (type, address) pairs that the chassis offers."""
    return [(kind, ip) for kind in mine.encap_types if kind in ENCAP_PREFERENCE for ip in mine.encap_ips]


@singleton
def configuration() -> Iterator[Fact]:
    """Say what of this chassis's configuration has no effect, and what it lacks."""
    mine = settings()
    if not mine.chassis or progress().stopping:
        return
    yield from map(warning, mine.problems)
    for kind in mine.encap_types:
        if kind not in ENCAP_PREFERENCE:
            yield warning(f"Unknown tunnel type: {kind}")
    if not wanted_encaps(mine):
        yield warning("Need to specify an encap type and ip; until then Southbound is told nothing of this chassis")
    for network, name in mine.bridge_mappings.items():
        if find(Bridge.name, name) is None:
            yield warning(f"bridge '{name}' not found for network '{network}'")


@singleton
def registration() -> Iterator[Fact]:
    """Make the chassis's rows, and keep their contents as the settings say."""
    mine = settings()
    bridge = integration_bridge()
    encaps = wanted_encaps(mine)
    if not mine.chassis or not encaps or bridge is None or progress().stopping:
        return
    zones = mine.transport_zones
    config = other_config()
    row: Chassis | None = find(Chassis.name, mine.chassis)
    private = find(ChassisPrivate.name, mine.chassis)
    if row is not None:  # an edit for each column: the role of controllers, for one, lets nobody change a hostname
        if row.hostname != mine.hostname:
            yield EDIT(Chassis, row.uuid, (("hostname", mine.hostname),))
        if row.transport_zones != zones:
            yield EDIT(Chassis, row.uuid, (("transport_zones", zones),))
        stored = row.other_config
        differing = [(key, value) for key, value in config.items() if stored.get(key) != value]
        if differing:
            yield EDIT(Chassis, row.uuid, (("other_config", tuple(differing)),))
        there = {(e.type, e.ip, tuple(sorted(e.options.items()))) for e in row.encaps}
        if there == {(kind, ip, mine.encap_options) for kind, ip in encaps} and private is not None:
            if ChassisPrivate.chassis.raw(private) != row.uuid:
                yield EDIT(ChassisPrivate, private.uuid, (("chassis", row.uuid),))
            return
    yield CHASSIS(
        mine.chassis, mine.hostname, zones, tuple(sorted(config.items())), tuple(encaps), mine.encap_options,
        progress().previous,
    )  # fmt: skip


@singleton
def acknowledgement() -> Iterator[Fact]:
    """Report SB_Global.nb_cfg as done, in Southbound and, for who looks at this host alone, on the bridge."""
    head = rows(SBGlobal)
    state = progress()
    if not head or not state.settled or state.stopping:
        return
    private = find(ChassisPrivate.name, settings().chassis)
    number = head[0].nb_cfg
    me = own_chassis()
    if me is None:
        return
    if private is not None:
        if private.nb_cfg != number:
            yield EDIT_AFTER_FLOWS(ChassisPrivate, private.uuid, (("nb_cfg", number),))
    else:  # before there was such a table, northd looked here
        row = get(Chassis, me)
        if row is not None and row.nb_cfg != number:
            yield EDIT_AFTER_FLOWS(Chassis, me, (("nb_cfg", number),))
    bridge = integration_bridge()
    if bridge is not None and bridge.external_ids.get("ovn-nb-cfg") != str(number):
        yield EDIT_AFTER_FLOWS(Bridge, bridge.uuid, (("external_ids", (("ovn-nb-cfg", str(number)),)),))


@singleton
def findings() -> Iterator[Fact]:
    """Say in Southbound what is to be mended on this host, for the API to show."""
    state, private = progress(), find(ChassisPrivate.name, settings().chassis)
    if private is None or state.stopping or state.findings is None:
        return
    told = state.findings or None
    if private.external_ids.get(FINDINGS) != told:
        yield EDIT(ChassisPrivate, private.uuid, (("external_ids", ((FINDINGS, told),)),))


async def unregister(southbound: Replica, name: str) -> None:
    """Take a chassis out of Southbound, and its ports' bindings with it; what cannot be taken out is said and stays."""
    transaction = southbound.transaction()
    row = southbound.store.find(Chassis.name, name)
    private = southbound.store.find(ChassisPrivate.name, name)
    if row is not None:
        for port in southbound.store.select(PortBinding.chassis, row.uuid):
            transaction.update(port, {"chassis": None, "encap": None, "up": False})
        transaction.delete(row)
    if private is not None:
        transaction.delete(private)
    try:
        if not transaction.empty:
            await southbound.commit(transaction)
    except OvsdbError as error:
        log.warning("this chassis stays in Southbound: %s", error)
