"""Quality of service: rules of a switch that mark packets or limit their rate, and queues of ports.

ovn-nb(5), QoS; ovn-northd(8), "Ingress Table 0", "9" and "10", "Egress Table 5", "6" and "9". A rule's rate is a meter
of its own on every chassis. The queue of a port (``northd.ir.queues``) is set when a packet enters the switch, and
takes effect when the packet leaves the chassis through a physical interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.model import nb
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.queues import keep_queues, queue_of
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.pipeline.explanations import HintedTable
from ovenbird.pipeline.registers import PORT_SEC_DROP
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.northd.ir.switch_port import SwitchPort

MARK_STAGES = {"from-lport": stage("ls_in_qos_mark"), "to-lport": stage("ls_out_qos_mark")}
METER_STAGES = {"from-lport": stage("ls_in_qos_meter"), "to-lport": stage("ls_out_qos_meter")}
MARKS = {"dscp": "ip.dscp", "mark": "pkt.mark"}
"""The fields that `action` sets; releases of OVN since 24.03 know the second."""

IN_CHECK = stage("ls_in_check_port_sec")
OUT_APPLY = stage("ls_out_apply_port_sec")

flow = flow_builder("qos")


@rule(nb.QoS)
def qos_rule(rule: nb.QoS) -> Iterator[Fact]:
    """Mark, or limit the rate of, the packets that a rule matches, in each switch that has the rule."""
    rate, burst = rule.bandwidth.get("rate"), rule.bandwidth.get("burst")
    marks = [f"{field} = {rule.action[key]}; " for key, field in MARKS.items() if key in rule.action]
    if burst is not None and rate is None:
        yield finding(rule, f"QoS rule {rule.direction} {rule.priority} has a burst without a rate, and limits nothing")
    priority = rule.priority or 1  # at 0 it would have the same priority as the flow to the next stage
    for switch in rule.referrers(nb.LogicalSwitch.qos_rules):
        where = datapath(switch)
        if marks:
            act = f"{''.join(marks)}next;"
            yield flow(MARK_STAGES[rule.direction], where, priority, rule.match, act, hint=rule.uuid)
        if rate is not None:
            limit = f"set_meter({rate}, {burst}); next;" if burst is not None else f"set_meter({rate}); next;"
            yield flow(METER_STAGES[rule.direction], where, priority, rule.match, limit, hint=rule.uuid)


def port(port: SwitchPort) -> Iterator[Fact]:
    """Set the queue of packets from a port, or of packets to a localnet port."""
    if not port.enabled or port.type in ("router", "external", "vtep") or (queue := queue_of(port)) is None:
        return
    choose = f"set_queue({queue})"
    check = f"{choose}; {PORT_SEC_DROP} = check_in_port_sec(); next;"
    yield flow(IN_CHECK, port.datapath, 70, f"inport == {port.quoted}", check, hint=port.hint, port=port.name)
    if port.type == "localnet":
        yield flow(
            OUT_APPLY,
            port.datapath,
            100,
            f"outport == {port.quoted}",
            f"{choose}; output;",
            hint=port.hint,
            port=port.name,
        )


def _sentence(rule: nb.QoS) -> tuple[str, str]:
    """Return a rule in words, and its match."""
    names = {"dscp": "DSCP", "mark": "mark"}
    what = [f"{name} {rule.action[key]}" for key, name in names.items() if key in rule.action]
    if "rate" in rule.bandwidth:
        burst = f" with bursts of {rule.bandwidth['burst']} kbit" if "burst" in rule.bandwidth else ""
        what.append(f"at most {rule.bandwidth['rate']} kbit/s{burst}")
    return f"QoS rule {rule.direction} {rule.priority} ({', '.join(what)})", rule.match


FEATURE = Feature(
    "qos",
    rules=(qos_rule,),
    port=port,
    needs=("options",),
    start=keep_queues,
    hints=(
        HintedTable(nb.QoS, _sentence, (nb.LogicalSwitch.qos_rules,)),
        HintedTable(nb.LogicalSwitchPort),
    ),
)
