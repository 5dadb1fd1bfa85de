"""What the local Open_vSwitch database tells the controller (ovn-controller(8), "Configuration").

`Settings` is the one reading of Open_vSwitch.external_ids; a key with `-<chassis>` appended overrides the plain one.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.controller.local.local_store import progress
from ovenbird.engine.lookups import find, rows
from ovenbird.engine.views import view
from ovenbird.model.options import INT
from ovenbird.model.sb import Chassis
from ovenbird.model.vswitch import Bridge, OpenVSwitch
from ovenbird.net.numbers import integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.engine.rows import UUID

NO_BRIDGE = "br-int"

CT_ZONE_LIMIT = 65536
"""Connections that a port may have where neither it nor its switch nor the chassis says (`ovn-ct-zone-limit`; 0: any
number). Open vSwitch's own table has 3,000,000 by default, a small Linux host's 65,536 and more."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The chassis's configuration."""

    chassis: str
    hostname: str
    remote: str
    bridge: str
    bridge_datapath_type: str
    encap_types: tuple[str, ...]
    encap_ips: tuple[str, ...]
    encap_options: tuple[tuple[str, str], ...]
    tunnel_options: tuple[tuple[str, str], ...]
    set_local_ip: bool
    bridge_mappings: Mapping[str, str]
    transport_zones: frozenset[str]
    monitor_all: bool
    match_northd_version: bool
    remote_probe_ms: int | None
    openflow_probe_s: int
    ct_zone_limit: int
    published: Mapping[str, str]


@view
def settings() -> Settings:
    """Return the chassis's configuration; `chassis` is empty while it has no name."""
    found = rows(OpenVSwitch)
    ids = found[0].external_ids if found else {}
    return read_settings(ids, progress().system_id)


def read_settings(ids: Mapping[str, str], system_id: str = "") -> Settings:
    """Read Open_vSwitch.external_ids.

    Arguments:
        ids: the map.
        system_id: the chassis's name if it was given to the program.
    """
    chassis = system_id or ids.get("system-id", "")

    def option(key: str, default: str = "") -> str:
        return ids.get(f"{key}-{chassis}", ids.get(key, default))

    limit = integer(option("ovn-ct-zone-limit"))
    csum = option("ovn-encap-csum", "true")
    tunnel = {"csum": csum}
    for key, name in (("ovn-encap-tos", "tos"), ("ovn-encap-df_default", "df_default")):
        if value := option(key):
            tunnel[name] = value
    published = {key: option(key, default) for key, default in _PUBLISHED.items()}
    published["is-interconn"] = option("ovn-is-interconn", "false")
    return Settings(
        chassis=chassis,
        hostname=option("hostname") or socket.gethostname(),
        remote=option("ovn-remote"),
        bridge=option("ovn-bridge") or NO_BRIDGE,
        bridge_datapath_type=option("ovn-bridge-datapath-type"),
        encap_types=tuple(_listed(option("ovn-encap-type"))),
        encap_ips=tuple(_listed(option("ovn-encap-ip"))),
        encap_options=(("csum", csum),),
        tunnel_options=tuple(sorted(tunnel.items())),
        set_local_ip=option("ovn-set-local-ip").lower() == "true",
        bridge_mappings=dict(_pairs(option("ovn-bridge-mappings"))),
        transport_zones=frozenset(_listed(option("ovn-transport-zones"))),
        monitor_all=option("ovn-monitor-all").lower() == "true",
        match_northd_version=option("ovn-match-northd-version").lower() == "true",
        remote_probe_ms=integer(option("ovn-remote-probe-interval"), high=INT),
        openflow_probe_s=integer(option("ovn-openflow-probe-interval"), high=INT) or 0,
        ct_zone_limit=CT_ZONE_LIMIT if limit is None else limit,
        published=published,
    )


# Keys of external_ids that a chassis publishes in Chassis.other_config as they are, with their defaults (OVN 23.03).
_PUBLISHED = {
    "ovn-bridge-mappings": "",
    "ovn-chassis-mac-mappings": "",
    "ovn-cms-options": "",
    "ovn-enable-lflow-cache": "true",
    "ovn-limit-lflow-cache": "",
    "ovn-memlimit-lflow-cache-kb": "",
    "ovn-monitor-all": "false",
    "ovn-trim-limit-lflow-cache": "",
    "ovn-trim-timeout-ms": "",
    "ovn-trim-wmark-perc-lflow-cache": "",
}


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _pairs(text: str) -> list[tuple[str, str]]:
    """Read `physnet1:br-ex,physnet2:br-ex2`; what has no colon is left out."""
    pairs = [item.partition(":") for item in _listed(text)]
    return [(network, bridge) for network, colon, bridge in pairs if colon]


@view
def bridge_name() -> str:
    """Return the name of the integration bridge."""
    return progress().bridge or settings().bridge


@view
def integration_bridge() -> Bridge | None:
    """Return the integration bridge, if it is there."""
    found: Bridge | None = find(Bridge.name, bridge_name())
    return found


@view
def former_bridge() -> Bridge | None:
    """Return the bridge that was the integration bridge before `ovn-bridge` was changed, if it is still there."""
    name = progress().former_bridge
    found: Bridge | None = find(Bridge.name, name) if name and name != bridge_name() else None
    return found


@view
def own_chassis() -> UUID | None:
    """Return the UUID of this chassis's row in Southbound, if it is there; it may still have the previous name."""
    for name in filter(None, (settings().chassis, progress().previous)):
        row: Chassis | None = find(Chassis.name, name)
        if row is not None:
            return row.uuid
    return None
