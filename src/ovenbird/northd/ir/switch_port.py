"""A logical switch port as features see it: its columns, its parsed addresses, its switch.

One rule runs for each port (``northd.build.switch_port``): it makes a ``SwitchPort`` and passes it to every feature, so
that a port costs one run and its columns are read once, however many features there are.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from ovenbird.engine.lookups import find, get, rows
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.net.ip import is_address
from ovenbird.northd.ir.addresses import Addresses, link_local, parse_addresses, parse_mac, quote, scan_addresses
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.router_port import LRP, SPECIAL, physical, redirect_port, subnets
from ovenbird.northd.ir.southbound_rows import PORT_BINDING, datapath

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.engine.rows import UUID

LSP = nb.LogicalSwitchPort


@view
def setting(name: str) -> str:
    """Return NB_Global's option of that name, or the empty string."""
    for row in rows(nb.NBGlobal):
        return row.options.get(name, "")
    return ""


@view
def router_port(name: str) -> tuple[UUID, Addresses] | None:
    """Return the UUID and the addresses of a router port, its link-local one included; None if there is none."""
    lrp = find(nb.LogicalRouterPort.name, name)
    mac = parse_mac(lrp.mac) if lrp is not None else ""
    if lrp is None or not mac:
        return None
    networks = lrp.networks
    four, six = ([subnet.ip for subnet in subnets(networks, version)] for version in (4, 6))
    return lrp.uuid, Addresses(mac, ipv4=tuple(four), ipv6=(*six, link_local(mac)))


@view
def global_flag(name: str, default: bool) -> bool:
    """Return whether NB_Global's option of that name is true."""
    for row in rows(nb.NBGlobal):
        return flag(row.options, name, default=default)
    return default


class SwitchOptions(NamedTuple):
    """How a switch treats its ports.

    Arguments:
        vlan_passthru: whether VLAN-tagged packets pass.
        arp_responds_when_up: whether it answers ARP and ND for a port only while the port is up.
        has_ipam: whether it assigns addresses to ports with `dynamic`.
        meters: the meters of the packets that it punts to controllers, by kind.
        dhcp_relay_port: its port to the router that relays DHCP messages, by name; None for native DHCP.
    """

    vlan_passthru: bool
    arp_responds_when_up: bool
    has_ipam: bool
    meters: Mapping[str, str]
    dhcp_relay_port: str | None


@view
def switch_options(switch: nb.LogicalSwitch) -> SwitchOptions:
    """Return the options of a switch that concern its ports."""
    config = switch.other_config
    arp_responds_when_up = not global_flag("ignore_lsp_down", True)
    return SwitchOptions(
        vlan_passthru=flag(config, "vlan-passthru"),
        arp_responds_when_up=arp_responds_when_up,
        has_ipam=has_ipam(config),
        meters=meters(switch),
        dhcp_relay_port=config.get("dhcp_relay_port"),
    )


def has_ipam(config: Mapping[str, str]) -> bool:
    """Return whether a switch with this `other_config` assigns addresses to ports with `dynamic`."""
    return "subnet" in config or "ipv6_prefix" in config or flag(config, "mac_only")


_COLUMNS = (
    LSP.name, LSP.type, LSP.options, LSP.addresses, LSP.port_security, LSP.enabled, LSP.parent_name, LSP.tag,
    LSP.tag_request, LSP.external_ids, LSP.dhcpv4_options, LSP.dhcpv6_options, LSP.dynamic_addresses, LSP.mirror_rules,
)  # fmt: skip
_MASK = 0
for _column in _COLUMNS:
    _MASK |= _column.bit
_read = itemgetter(*[column.index for column in _COLUMNS])


class SwitchPort:
    """One logical switch port.

    Attributes:
        lsp: the Northbound row.
        switch: the switch it belongs to.
        name: the port's name; `quoted` is the same as a constant in a match.
        hint: the row's UUID, for the stage-hint of its flows.
        datapath: UUID of the switch's datapath binding; `binding` that of the port's own.
        type, options, texts, security, parent, tag, tag_request, external_ids: columns as they are; `texts` are the
            addresses'.
        enabled, disabled: whether it is enabled, or not.
        dhcp: whether it has DHCP options of either version.
        mirrored: whether it has mirrors.
        groups: the port groups it is in.
        addresses: the entries of the `addresses` column that name a MAC, with those of the router port for `router`.
        router: the entry that stands for the word `router`.
        troubles: the parts of the addresses that are left out, and why.
        unknown: whether the port's addresses include `unknown`; implied where it leads to another switch.
        given: the column `dynamic_addresses`: the addresses assigned to the port.
        vlan_passthru, arp_responds_when_up, has_ipam, meters, dhcp_relay_port: the switch's ``switch_options``.
    """

    __slots__ = (
        "addresses",
        "arp_responds_when_up",
        "binding",
        "datapath",
        "dhcp",
        "dhcp_relay_port",
        "disabled",
        "enabled",
        "external_ids",
        "given",
        "groups",
        "has_ipam",
        "hint",
        "lsp",
        "meters",
        "mirrored",
        "name",
        "options",
        "parent",
        "quoted",
        "router",
        "security",
        "switch",
        "tag",
        "tag_request",
        "texts",
        "troubles",
        "type",
        "unknown",
        "vlan_passthru",
    )  # fmt: skip

    def __init__(self, lsp: nb.LogicalSwitchPort, switch: nb.LogicalSwitch) -> None:
        # Ten thousand of these are made at a cold start: all columns in one go.
        (
            self.name, self.type, self.options, self.texts, self.security, enabled, self.parent, self.tag,
            self.tag_request, self.external_ids, dhcpv4, dhcpv6, self.given, mirrors,
        ) = _read(lsp.watch(_MASK))  # fmt: skip
        self.lsp = lsp
        self.switch = switch
        self.quoted = quote(self.name)
        self.hint = lsp.uuid
        self.disabled = enabled is False
        self.enabled = not self.disabled
        self.dhcp = dhcpv4 is not None or dhcpv6 is not None
        self.mirrored = bool(mirrors)
        (
            self.vlan_passthru, self.arp_responds_when_up, self.has_ipam, self.meters, self.dhcp_relay_port,
        ) = switch_options(switch)  # fmt: skip
        self.datapath = datapath(switch)
        self.binding = PORT_BINDING.uuid((self.name, self.datapath))
        self.groups: list[nb.PortGroup] = lsp.referrers(nb.PortGroup.ports)
        self.router: Addresses | None = None
        self.unknown = self.type == "switch"
        self.addresses: list[Addresses] = []
        self.troubles: list[str] = []
        texts = self.texts
        for text in texts if len(texts) == 1 else sorted(texts):
            parsed, rest = scan_addresses(text)
            if parsed is None or rest:
                parsed = self._special(text, parsed, rest)
            if parsed is not None:
                self.addresses.append(parsed)

    @property
    def virtual_ip(self) -> str:
        """The address of a virtual port (`virtual-ip`); empty if there is none or it does not parse."""
        ip = self.options.get("virtual-ip", "")
        return ip if is_address(ip) else ""

    def _special(self, text: str, begins: Addresses | None, rest: str) -> Addresses | None:
        """Parse an entry that is more than a list of addresses; ``begins`` is the list that it begins with."""
        if text == "unknown":
            self.unknown = True
            return None
        if text == "router":
            peer = router_port(self.options.get("router-port", ""))
            self.router = peer[1] if peer is not None else None
            return self.router
        if "dynamic" in text.split():
            return parse_addresses(self.given) if self.given is not None else begins
        if begins is None:
            self.troubles.append(f"{text!r} does not begin with an Ethernet address and is left out")
        elif rest.strip():
            self.troubles.append(f"{rest.strip()!r} in {text!r} is left out: it is not an address")
        return begins


@view
def switch_ports_of_type(switch: nb.LogicalSwitch, kind: str) -> tuple[UUID, ...]:
    """Return the switch's ports of a rare type (`localnet`, `router`)."""
    return tuple([lsp.uuid for lsp in SPECIAL.rows(switch.uuid, kind)])


@view
def only_routers(switch: nb.LogicalSwitch) -> bool:
    """Return whether a switch has no ports but those to routers; they are counted, and none is looked at."""
    return len(nb.LogicalSwitch.ports.raw(switch)) == len(SPECIAL.rows(switch.uuid, "router"))


@view
def peer_switch(lsp: nb.LogicalSwitchPort) -> str:
    """Return the name of the port of another switch that a port of type `switch` is joined to; empty if there is none.

    Each has to name the other (ovn-nb(5) of OVN 25.09, Logical_Switch_Port, column `peer`).
    """
    name = lsp.peer
    peer = find(LSP.name, name) if name else None
    if peer is None or peer.type != "switch" or peer.peer != lsp.name:
        return ""
    here, there = lsp.referrer(nb.LogicalSwitch.ports), peer.referrer(nb.LogicalSwitch.ports)
    return peer.name if here is not None and there is not None and here is not there else ""


def port_rows(uuids: tuple[UUID, ...]) -> list[nb.LogicalSwitchPort]:
    """Return the ports with those UUIDs that are still there."""
    return [lsp for uuid in uuids if (lsp := get(LSP, uuid)) is not None]


def active_at(port: SwitchPort) -> str:
    """Return the condition, to append to a match, that this chassis receives for the router behind a port."""
    if port.type != "router" or not physical(port.switch):
        return ""
    lrp = find(LRP.name, port.options.get("router-port", ""))
    redirect = redirect_port(lrp) if lrp is not None else ""
    return f" && is_chassis_resident({quote(redirect)})" if redirect else ""
