"""Router advertisements, by which IPv6 hosts learn how to configure an address.

ovn-northd(8), Logical Router Datapaths, "Ingress Table 10" and "11"; ovn-nb(5), Logical_Router_Port, `ipv6_ra_configs`.
A solicitation is answered on the chassis of its sender; unsolicited advertisements are sent by chassis, with the
contents in the port's binding. A prefix that was delegated to the port (RFC 8415, section 6.3) is advertised like
configured ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.lookups import select
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.model.options import INT, flag, number
from ovenbird.net.ip import ip_network
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.router_port import LRP, RouterPort, router_port_of
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import ADVERTISED
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

ND_RA_OPTIONS = stage("lr_in_nd_ra_options")
ND_RA_RESPONSE = stage("lr_in_nd_ra_response")

MODES = ("slaac", "dhcpv6_stateful", "dhcpv6_stateless")
LEAST_MTU = 1280
"""RFC 8200, section 5."""

flow = flow_builder("router_advertisement")

_WORDS = (("dnssl", "dnssl"), ("route_info", "route_info"))


@rule(LRP)
def router_port(lrp: nb.LogicalRouterPort) -> Iterator[Fact]:
    """Answer router solicitations that come to a port."""
    port = router_port_of(lrp)
    given = lrp.ipv6_ra_configs
    if port is None or not given or not (prefixes := advertised(lrp, port)):
        return
    mode = given.get("address_mode")
    if mode not in MODES:
        return
    says = [f'addr_mode = "{mode}"', f"slla = {port.mac}"]
    if mtu := _mtu(given):
        says.append(f"mtu = {mtu}")
    if preference := _preference(given):
        says.append(f'router_preference = "{preference}"')
    if servers := given.get("rdnss"):
        says.append(f"rdnss = {servers}")
    says += [f'{name} = "{text}"' for name, column in _WORDS if (text := given.get(column))]
    says += [f"prefix = {prefix}" for prefix in prefixes]
    came = f"inport == {port.quoted} && ip6.dst == ff02::2"
    act = f"{ADVERTISED} = put_nd_ra_opts({', '.join(says)}); next;"
    yield flow(
        ND_RA_OPTIONS, port.datapath, 50, f"{came} && nd_rs", act, hint=port.uuid, meter=port.meters.get("nd-ra-opts")
    )
    answer = (
        f"eth.dst = eth.src; eth.src = {port.mac}; ip6.dst = ip6.src; ip6.src = {port.ipv6[-1].ip}; "
        "outport = inport; flags.loopback = 1; output;"
    )
    yield flow(ND_RA_RESPONSE, port.datapath, 50, f"{came} && nd_ra && {ADVERTISED}", answer, hint=port.uuid)


def advertised(lrp: nb.LogicalRouterPort, port: RouterPort) -> list[str]:
    """Return the prefixes that a port announces: its networks, without the link-local one, and the delegated prefix."""
    found = [subnet.network for subnet in port.ipv6 if subnet.network != "fe80::/64"]
    prefix = delegated(lrp).partition(":")[2] if flag(port.options, "prefix") else ""
    return [*found, prefix] if prefix and prefix not in found else found


@view
def delegated(lrp: nb.LogicalRouterPort) -> str:
    """Return the prefix that a chassis wrote as delegated to a port, as `IAID:prefix`; empty without one."""
    for binding in select(sb.PortBinding.logical_port, lrp.name):
        given = binding.options.get("ipv6_ra_pd_list", "")
        try:
            return f"{int(given.partition(':')[0])}:{ip_network(given.partition(':')[2])}"
        except ValueError:
            continue
    return ""


def _mtu(given: dict[str, str]) -> int:
    return number(given, "mtu", 0, low=LEAST_MTU)


def _preference(given: dict[str, str]) -> str:
    text = given.get("router_preference", "")
    return text if text in ("HIGH", "LOW") else ""


def periodic(lrp: nb.LogicalRouterPort, port: RouterPort) -> dict[str, str]:
    """Return the options of the port's binding by which a chassis sends periodic advertisements."""
    given = lrp.ipv6_ra_configs
    if not flag(given, "send_periodic") or given.get("address_mode") not in MODES:
        return {}
    longest = _seconds(given, "max_interval", 4, 1800, 600)
    shortest = longest // 3 if longest >= 9 else longest * 3 // 4
    found = {
        "ipv6_ra_send_periodic": "true",
        "ipv6_ra_address_mode": given["address_mode"],
        "ipv6_ra_max_interval": str(longest),
        "ipv6_ra_min_interval": str(_seconds(given, "min_interval", 3, longest * 3 // 4, shortest)),
        "ipv6_ra_src_eth": port.mac,
        "ipv6_ra_src_addr": port.ipv6[-1].ip,
        "ipv6_ra_prf": _preference(given) or "MEDIUM",
    }
    if mtu := _mtu(given):
        found["ipv6_ra_mtu"] = str(mtu)
    if prefixes := advertised(lrp, port):
        found["ipv6_ra_prefixes"] = " ".join(prefixes)
    for name in ("rdnss", "dnssl", "route_info"):
        if text := given.get(name):
            found[f"ipv6_ra_{name}"] = text
    return found


def _seconds(given: dict[str, str], name: str, low: int, high: int, default: int) -> int:
    """Return an interval within its bounds (RFC 4861, section 6.2.1)."""
    return min(max(number(given, name, default, low=-INT), low), high)


FEATURE = Feature("router_advertisement", rules=(router_port,), hints=(HintedTable(nb.LogicalRouterPort),))
