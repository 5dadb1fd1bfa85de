"""The settings in the local Open_vSwitch database (ovn-controller(8), "Configuration").

`Settings` is the only reader of Open_vSwitch.external_ids; a key with `-<chassis>` appended overrides the plain one.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ovenbird.controller.local.local_store import progress
from ovenbird.dataclass import dataclass
from ovenbird.engine.lookups import find, rows
from ovenbird.engine.views import view
from ovenbird.model.options import INT
from ovenbird.model.sb import Chassis
from ovenbird.model.vswitch import Bridge, OpenVSwitch
from ovenbird.net.addresses import is_mac
from ovenbird.net.ip import is_address
from ovenbird.net.numbers import INT64, integer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.engine.rows import UUID

NO_BRIDGE = "br-int"

REMOTE_PROBE_MS = 5000
"""Default milliseconds of silence after which Southbound's server is probed."""

CT_ZONE_LIMIT = 65536
"""Connections that a port may have where neither it nor its switch nor the chassis says (`ovn-ct-zone-limit`; 0: any
number). Open vSwitch's own table has 3,000,000 by default, a small Linux host's 65,536 and more."""

CT_ZONES = (1, 0xFFFF)
"""The lowest and the highest conntrack zone; 0 is the host's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The chassis's configuration."""

    chassis: str
    hostname: str
    remote: str
    bridge: str
    bridge_datapath_type: str
    encap_types: tuple[str, ...]
    encap_ips: tuple[str, ...]
    default_encap_ip: str
    encap_options: tuple[tuple[str, str], ...]
    tunnel_options: tuple[tuple[str, str], ...]
    set_local_ip: bool
    bridge_mappings: Mapping[str, str]
    interconnects: bool
    transport_zones: frozenset[str]
    monitor_all: bool
    match_northd_version: bool
    remote_probe_ms: int
    openflow_probe_s: float
    bridge_remote: str
    cleans_up: bool
    garp_pause_s: int
    ct_zone_limit: int
    ct_zone_range: tuple[int, int]
    routing_interfaces: Mapping[str, str]
    published: Mapping[str, str]
    problems: tuple[str, ...]
    """The values that are invalid, and what is used instead."""


@view
def settings() -> Settings:
    """Return the chassis's configuration; `chassis` is empty while it has no name."""
    found = rows(OpenVSwitch)
    ids = found[0].external_ids if found else {}
    return read_settings(ids, progress().system_id)


class _Reader:
    """Reads keys of a map, each from `<key>-<chassis>` if that is set, and collects invalid values.

    Arguments:
        ids: the map.
        chassis: the chassis's name.
    """

    def __init__(self, ids: Mapping[str, str], chassis: str) -> None:
        self._ids = ids
        self._chassis = chassis
        self.problems: list[str] = []

    def text(self, key: str, *, default: str = "") -> str:
        return self._ids.get(f"{key}-{self._chassis}", self._ids.get(key, default))

    def flag(self, key: str, *, default: bool = False) -> bool:
        text = self.text(key).lower()
        if text not in ("", "true", "false"):
            self._note(key, f"neither true nor false, {str(default).lower()} is used")
        return text != "false" if default else text == "true"

    def number(self, key: str, default: int, *, least: int = 0, most: int = INT64) -> int:
        """Return a number up to `most`: 0, which turns off what it is about, or at least `least`.

        Arguments:
            key: the key.
            default: the number if there is none, or an invalid one.
            least: the smallest number besides 0.
            most: the largest number.
        """
        text = self.text(key)
        value = integer(text, high=most)
        if value is None:
            if text:
                self._note(key, f"not a number, or too large, {default} is used")
            return default
        return max(value, least) if value else 0

    def interval(self, key: str, within: tuple[int, int]) -> tuple[int, int]:
        """Return the two numbers of `MIN-MAX`; `within` if there are none, or they are not within it and in order."""
        text = self.text(key)
        low, high = (integer(part, high=within[1]) for part in (text.partition("-")[::2]))
        if low is not None and high is not None and within[0] <= low <= high:
            return low, high
        if text:
            self._note(key, f"not MIN-MAX from {within[0]} to {within[1]}, {within[0]}-{within[1]} is used")
        return within

    def listed(self, key: str, accepts: Callable[[str], bool], what: str) -> list[str]:
        """Return the comma-separated items that are valid, and report the others.

        Arguments:
            key: the key.
            accepts: tells whether an item is valid.
            what: the form of a valid item, for the report.
        """
        items = [item.strip() for item in self.text(key).split(",") if item.strip()]
        for item in items:
            if not accepts(item):
                self.problems.append(f"external_ids:{key}: {item!r} is not {what}, and is left out")
        return [item for item in items if accepts(item)]

    def one_of(self, key: str, items: tuple[str, ...], where: str) -> str:
        """Return the value of a key if it is one of another key's, else an empty text.

        Arguments:
            key: the key.
            items: the other key's values.
            where: the other key, for the report.
        """
        text = self.text(key)
        if text and text not in items:
            self._note(key, f"none of {where}, none is preferred")
            return ""
        return text

    def _note(self, key: str, words: str) -> None:
        self.problems.append(f"external_ids:{key}={self.text(key)}: {words}")


def read_settings(ids: Mapping[str, str], system_id: str = "") -> Settings:
    """Read Open_vSwitch.external_ids.

    Arguments:
        ids: the map.
        system_id: the chassis's name if it was given to the program.
    """
    chassis = system_id or ids.get("system-id", "")

    read = _Reader(ids, chassis)
    csum = read.text("ovn-encap-csum", default="true")
    tunnel = {"csum": csum}
    for key, name in (("ovn-encap-tos", "tos"), ("ovn-encap-df_default", "df_default")):
        if value := read.text(key):
            tunnel[name] = value
    for key, default in (("ovn-encap-csum", True), ("ovn-encap-df_default", True), ("ovn-is-interconn", False)):
        read.flag(key, default=default)
    read.listed("ovn-chassis-mac-mappings", _is_network_and_mac, "NETWORK:MAC")
    probe = 1000 * read.number("ovn-openflow-probe-interval", 0, least=5, most=INT)
    probe = read.number("ovn-bridge-remote-probe-interval", probe, most=INT)
    (bridge_remote,) = read.listed("ovn-bridge-remote", _is_remote, "unix:FILE or tcp:HOST:PORT")[:1] or [""]
    published = {key: read.text(key, default=default) for key, default in _PUBLISHED.items()}
    published["is-interconn"] = read.text("ovn-is-interconn", default="false")
    return Settings(
        chassis=chassis,
        hostname=read.text("hostname") or socket.gethostname(),
        remote=read.text("ovn-remote"),
        bridge=read.text("ovn-bridge") or NO_BRIDGE,
        bridge_datapath_type=read.text("ovn-bridge-datapath-type"),
        encap_types=tuple(read.listed("ovn-encap-type", _anything, "")),
        encap_ips=(encap_ips := tuple(read.listed("ovn-encap-ip", is_address, "an IP address"))),
        default_encap_ip=read.one_of("ovn-encap-ip-default", encap_ips, "ovn-encap-ip"),
        encap_options=(("csum", csum),),
        tunnel_options=tuple(sorted(tunnel.items())),
        set_local_ip=read.flag("ovn-set-local-ip"),
        bridge_mappings=dict(_pair(item) for item in read.listed("ovn-bridge-mappings", _is_pair, "NETWORK:BRIDGE")),
        interconnects=read.flag("ovn-is-interconn"),
        transport_zones=frozenset(read.listed("ovn-transport-zones", _anything, "")),
        monitor_all=read.flag("ovn-monitor-all"),
        match_northd_version=read.flag("ovn-match-northd-version"),
        remote_probe_ms=read.number("ovn-remote-probe-interval", REMOTE_PROBE_MS, least=1000, most=INT),
        openflow_probe_s=probe / 1000,
        bridge_remote=bridge_remote,
        cleans_up=read.flag("ovn-cleanup-on-exit", default=True),
        garp_pause_s=read.number("garp-max-timeout-sec", 0, most=INT),
        ct_zone_limit=read.number("ovn-ct-zone-limit", CT_ZONE_LIMIT),
        ct_zone_range=read.interval("ct-zone-range", CT_ZONES),
        routing_interfaces=dict(
            item.split("=", 1)
            for item in read.listed("dynamic-routing-port-mapping", _is_port_mapping, "PORT=INTERFACE")
        ),
        published=published,
        problems=tuple(read.problems),
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


def _anything(_: str) -> bool:
    return True


def _is_remote(item: str) -> bool:
    """Return whether an item is `unix:FILE` or `tcp:HOST:PORT`."""
    kind, _, place = item.partition(":")
    host, _, port = place.rpartition(":")
    return bool(place) if kind == "unix" else kind == "tcp" and bool(host) and integer(port, high=0xFFFF) is not None


def _is_pair(item: str) -> bool:
    """Return whether an item is `physnet1:br-ex`."""
    network, _, bridge = item.partition(":")
    return bool(network and bridge)


def _is_port_mapping(item: str) -> bool:
    """Return whether an item is `port=eth0`."""
    port, _, interface = item.partition("=")
    return bool(port and interface)


def _pair(item: str) -> tuple[str, str]:
    network, _, bridge = item.partition(":")
    return network, bridge


def _is_network_and_mac(item: str) -> bool:
    """Return whether an item is `physnet1:aa:bb:cc:dd:ee:ff`."""
    network, _, mac = item.partition(":")
    return bool(network) and is_mac(mac)


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
