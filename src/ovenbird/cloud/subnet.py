"""Subnets: the options with which native DHCP answers (ovn-nb(5), DHCP_Options)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import orjson

from ovenbird.cloud import names
from ovenbird.cloud.network import domain, network_mtu
from ovenbird.engine import lookups
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, settings
from ovenbird.net.ip import ip_address, is_address, is_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation

RESOLVERS = Path("/etc/resolv.conf")
"""Where a host says which name servers it asks."""

METADATA = "169.254.169.254/32"
"""Where instances look for metadata."""

NO_DOMAINS = ("", settings.DNS_DOMAIN.default)
"""Neutron's default domain, and none: these are not sent to instances."""

STATELESS, SLAAC = "dhcpv6-stateless", "slaac"

NO_SERVER = frozenset(("0.0.0.0", "::"))  # noqa: S104 (nothing is bound to them)
"""Name servers that stand for none at all."""


def _owner(external_ids: dict[str, str]) -> tuple[str, str] | None:
    """Return whose options these are: a subnet's, or those of one port in a subnet."""
    subnet = external_ids.get("subnet_id")
    return None if subnet is None else (subnet, external_ids.get("port_id", ""))


class DhcpOptionsRow(NamedTuple):
    """What DHCP answers to ports of a subnet, or to one of them."""

    relation: Relation
    external_ids: Pairs
    cidr: str
    options: Pairs


DHCP_OPTIONS = names.RowsById(nb.DHCPOptions, DhcpOptionsRow, _owner)


def server_mac(subnet_id: str) -> str:
    """Return the MAC that a subnet's DHCP answers come from: stable, in OpenStack's range, local to the subnet."""
    h = subnet_id.replace("-", "")
    return f"fa:16:3e:{h[-6:-4]}:{h[-4:-2]}:{h[-2:]}"


@view
def dhcp_options(subnet: cloud.Subnet) -> Pairs:
    """Return what DHCP answers to ports of a subnet; nothing where it is off."""
    if not subnet.enable_dhcp:
        return ()
    if ":" in subnet.cidr:
        return _dhcpv6_options(subnet)
    return _dhcpv4_options(subnet)


@view
def metadata_address(subnet: cloud.Subnet) -> str | None:
    """Return the address in a subnet of the port that the metadata service is behind; None where there is none."""
    if not settings.METADATA.of(subnet.home.store):
        return None
    device = f"ovnmeta-{cloud.Subnet.network.raw(subnet)}"
    for port in lookups.select(cloud.Port.device_id, device):
        if port.device_owner == "network:distributed":
            for fixed in port.referrers(cloud.FixedAddress.port):
                if cloud.FixedAddress.subnet.raw(fixed) == subnet.uuid:
                    address: str = fixed.address
                    return address
    return None


def _dhcpv4_options(subnet: cloud.Subnet) -> Pairs:
    gateway, metadata = _address(subnet.gateway_ip), metadata_address(subnet)
    server = gateway or metadata
    if server is None:  # the server's own address would have nowhere to live
        return ()
    options = {
        "server_id": server,
        "server_mac": server_mac(subnet.uuid),
        "lease_time": str(settings.LEASE_TIME.of(subnet.home.store)),
        "mtu": str(network_mtu(subnet.network)),
    }
    if gateway is not None:
        options["router"] = gateway
    if servers := _name_servers(subnet):
        options["dns_server"] = servers
    if (name := domain(subnet.network)) not in NO_DOMAINS:
        options["domain_name"] = orjson.dumps(name).decode()
    routes = [f"{METADATA},{metadata}"] if metadata is not None else []
    routes += [route.replace(" ", ",") for route in sorted(subnet.host_routes) if _is_route(route)]
    if routes:
        # RFC 3442: a client that takes classless routes ignores the router option, so the default goes in here too.
        default = [f"0.0.0.0/0,{gateway}"] if gateway is not None else []
        options["classless_static_route"] = _braced(routes + default)
    return tuple(sorted(options.items()))


def _dhcpv6_options(subnet: cloud.Subnet) -> Pairs:
    mode = subnet.ipv6_address_mode
    if mode == SLAAC:
        return ()
    options = {"server_id": server_mac(subnet.uuid)}
    if servers := _name_servers(subnet):
        options["dns_server"] = servers
    if mode == STATELESS:
        options["dhcpv6_stateless"] = "true"
    return tuple(sorted(options.items()))


def _name_servers(subnet: cloud.Subnet) -> str:
    """Return the servers that instances ask for names: the subnet's, or else those of the cloud, or of this host."""
    servers = [server for _, server in sorted(subnet.dns_nameservers.items()) if is_address(server)]
    if not servers:
        store, version6 = subnet.home.store, ":" in subnet.cidr
        for several in (settings.DNS_SERVERS.of(store), host_name_servers()):
            servers = servers or [s for s in several if (":" in s) == version6]
    return _braced(servers) if servers and NO_SERVER.isdisjoint(servers) else ""


@view
def host_name_servers() -> tuple[str, ...]:
    """Return the name servers that this host asks, without those that only this host can reach (resolv.conf(5))."""
    try:
        lines = RESOLVERS.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    words = [line.split() for line in lines]
    servers = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver" and is_address(word[1])]
    return tuple([server for server in servers if not ip_address(server).is_loopback])


def _address(text: str | None) -> str | None:
    return text if text is not None and is_address(text) else None


def _is_route(text: str) -> bool:
    prefix, _, nexthop = text.partition(" ")
    return is_prefix(prefix) and is_address(nexthop)


def _unreadable(subnet: cloud.Subnet) -> list[str]:
    """Return the values of a subnet that DHCP cannot send; the others are sent."""
    gateway = [] if subnet.gateway_ip is None or is_address(subnet.gateway_ip) else [subnet.gateway_ip]
    servers = [server for server in subnet.dns_nameservers.values() if not is_address(server)]
    return sorted([*gateway, *servers, *[route for route in subnet.host_routes if not _is_route(route)]])


def _braced(items: list[str]) -> str:
    return "{" + ", ".join(items) + "}"


@rule(cloud.Subnet)
def subnet_dhcp(subnet: cloud.Subnet) -> Iterator[Fact]:
    """Yield the DHCP options of a subnet."""
    options = dhcp_options(subnet)
    for text in _unreadable(subnet):
        yield finding(subnet, f"subnet {subnet.uuid}: {text!r} is not an address or route, and DHCP leaves it out")
    if options:
        ids = (
            ("neutron:network_id", cloud.Subnet.network.raw(subnet)),
            (names.REVISION, str(subnet.revision_number)),
            ("subnet_id", subnet.uuid),
        )
        yield DHCP_OPTIONS(external_ids=ids, cidr=subnet.cidr, options=options)
