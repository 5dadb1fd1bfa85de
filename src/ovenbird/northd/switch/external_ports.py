"""External ports: instances that reach their switch through a localnet port, for which one chassis answers.

ovn-northd(8), "Ingress table 24": a chassis that does not hold an external port drops its packets to routers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model import nb
from ovenbird.northd.ir.addresses import quote, solicited_node
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.switch_port import port_rows, router_port, switch_ports_of_type
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

STAGE = stage("ls_in_external_port")

flow = flow_builder("external_ports")


def port(port: SwitchPort) -> Iterator[Fact]:
    """Drop an external port's requests to routers on chassis that do not hold it."""
    routers = [
        peer[1]
        for row in port_rows(switch_ports_of_type(port.switch, "router"))
        if (peer := router_port(row.options.get("router-port", ""))) is not None
    ]
    for localnet in port_rows(switch_ports_of_type(port.switch, "localnet")):
        name = localnet.name
        for address in port.addresses:
            mine = f"inport == {quote(name)} && eth.src == {address.mac} && !is_chassis_resident({port.quoted})"
            for router in routers:
                asks = [f"arp.tpa == {ip} && arp.op == 1" for ip in router.ipv4]
                asks += [
                    f"nd_ns && ip6.dst == {{{ip}, {solicited_node(ip)}}} && nd.target == {ip}" for ip in router.ipv6
                ]
                asks.append(f"eth.dst == {router.mac}")
                for ask in asks:
                    yield flow(STAGE, port.datapath, 100, f"{mine} && {ask}", "drop;", hint=port.hint, port=name)


FEATURE = Feature(
    "external_ports", port=port, types=frozenset({"external"}), hints=(HintedTable(nb.LogicalSwitchPort),)
)
