"""VTEP gateways: packets from hosts behind physical switches pass no ingress ACL, and are sent to gateways of routers.

ovn-northd(8), "Ingress Table 0" and "16": such packets continue in the stage of hairpins, and from there in the lookup
of their destination. On the chassis where a distributed gateway port of a router is active, they pass the stages in
between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model import nb
from ovenbird.northd.ir.addresses import quote
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.queues import queue_of
from ovenbird.northd.ir.router_port import router_peers
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import FROM_GATEWAY
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

IN_CHECK = stage("ls_in_check_port_sec")
HAIRPINNING = stage("ls_in_hairpin")
LOOKUP = stage("ls_in_l2_lkup")

flow = flow_builder("vtep_gateway")


def port(port: SwitchPort) -> Iterator[Fact]:
    """Have what comes from a gateway skip the checks of the sender; where a router's gateway is active, only some."""
    where = port.datapath
    yield flow(HAIRPINNING, where, 1000, f"{FROM_GATEWAY} == 1", f"next(pipeline=ingress, table={LOOKUP.table});")
    for _, peer in router_peers(port.switch):
        if peer.is_distributed_gateway:
            active = f"{FROM_GATEWAY} == 1 && is_chassis_resident({quote(peer.redirect)})"
            yield flow(HAIRPINNING, where, 2000, active, "next;")
    if not port.enabled:
        return
    queue = queue_of(port)
    choose = f"set_queue({queue}); " if queue is not None else ""
    onward = f"{choose}{FROM_GATEWAY} = 1; next(pipeline=ingress, table={HAIRPINNING.table});"
    yield flow(IN_CHECK, where, 70, f"inport == {port.quoted}", onward, hint=port.hint, port=port.name)


FEATURE = Feature(
    "vtep_gateway",
    port=port,
    types=frozenset({"vtep"}),
    hints=(HintedTable(nb.LogicalSwitchPort),),
)
