"""Port security: the addresses that a port may send from and receive.

Chassis apply Port_Binding.port_security themselves, in tables that `check_in_port_sec` and `check_out_port_sec` call;
the logical pipeline calls them and drops packets. ovn-northd(8), "Ingress Table 0" and "Egress Table 8".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb
from ovenbird.northd.ir.datapath_groups import SWITCHES, DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.northd.ir.switch_port import switch_options
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import PORT_SEC_DROP
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

IN_CHECK = stage("ls_in_check_port_sec")
IN_APPLY = stage("ls_in_apply_port_sec")
OUT_CHECK = stage("ls_out_check_port_sec")
OUT_APPLY = stage("ls_out_apply_port_sec")

UNTAGGED = DatapathGroup("untagged")
"""Switches without `vlan-passthru`."""

flow = flow_builder("port_security")

_ASK = f"{PORT_SEC_DROP} = check_in_port_sec(); next;"
_BAD = f"{PORT_SEC_DROP} == 1"


@singleton
def checks() -> Iterator[Fact]:
    """Check port security for every packet, and drop what fails."""
    yield SWITCHES.row
    yield UNTAGGED.row
    yield flow(IN_CHECK, UNTAGGED, 100, "vlan.present", "drop;")
    yield flow(IN_CHECK, SWITCHES, 100, "eth.src[40]", "drop;")
    yield flow(IN_CHECK, SWITCHES, 50, "1", _ASK)
    yield flow(IN_APPLY, SWITCHES, 50, _BAD, "drop;")
    yield flow(OUT_CHECK, SWITCHES, 100, "eth.mcast", f"{PORT_SEC_DROP} = 0; next;")
    yield flow(OUT_CHECK, SWITCHES, 0, "1", f"{PORT_SEC_DROP} = check_out_port_sec(); next;")
    yield flow(OUT_APPLY, SWITCHES, 50, _BAD, "drop;")
    yield flow(OUT_APPLY, SWITCHES, 0, "1", "output;")


@rule(nb.LogicalSwitch)
def untagged(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Have a switch without `vlan-passthru` drop VLAN-tagged frames."""
    if not switch_options(switch).vlan_passthru:
        yield UNTAGGED.includes(datapath(switch))


def port(port: SwitchPort) -> Iterator[Fact]:
    """Let nothing in from a disabled port."""
    if port.type != "external":  # nothing comes in there
        drop = f"{PORT_SEC_DROP} = 1; next;"
        yield flow(IN_CHECK, port.datapath, 100, f"inport == {port.quoted}", drop, hint=port.hint, port=port.name)


FEATURE = Feature(
    "port_security",
    rules=(checks, untagged),
    port=port,
    needs=("disabled",),
    hints=(HintedTable(nb.LogicalSwitchPort),),
    drops={
        IN_CHECK: "the frame has a VLAN tag, or a group for its source",
        **dict.fromkeys((IN_APPLY, OUT_CHECK, OUT_APPLY), "the port is disabled"),
    },
)
