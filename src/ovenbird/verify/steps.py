"""A trace as a value: the steps of one packet, and what became of it.

Invariants: a block (a pipeline, a packet behind `ct_next`, a copy) holds flows in the order in which the packet met
them; a flow holds its actions. What the last action of a flow opens follows the flow and is not nested in it (`tail`):
a long path through many stages is a flat list, and only forks are indented, as in ovn-trace(8).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.dataclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lang.microflow import Microflow
    from ovenbird.model import sb
    from ovenbird.verify.network import Datapath
    from ovenbird.verify.provenance import Origin


class StepKind(StrEnum):
    """The kind of a step."""

    BLOCK = "block"
    FLOW = "flow"
    ACTION = "action"
    CHANGE = "change"
    """A header field's new value."""
    NOTE = "note"
    OUTPUT = "output"
    DROP = "drop"


@dataclass(slots=True)
class Step:
    """A step of a trace, with the steps that it caused.

    Arguments:
        kind: what it is.
        text: its description.
        flow: the logical flow, for a step of that kind, and for a drop the flow that dropped.
        origin: the flow's origin.
        verdict: the fate of the packet, in one sentence; empty for most steps.
        tail: whether the step follows its parent instead of being part of it.
    """

    kind: StepKind
    text: str
    flow: sb.LogicalFlow | None = None
    origin: Origin | None = None
    verdict: str = ""
    tail: bool = False
    steps: list[Step] = field(default_factory=list)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Step]]:
        """Yield this step and those below it in order, each with its depth of indentation."""
        yield depth, self
        inside = depth if self.kind is StepKind.BLOCK else depth + 1
        for step in self.steps:
            deeper = step.kind is StepKind.BLOCK and not step.tail
            yield from step.walk(depth + 1 if deeper else depth if step.tail else inside)

    @property
    def stage(self) -> str:
        """The name of the flow's stage, the empty string for a step without a flow."""
        return "" if self.flow is None else stage_name(self.flow)

    @property
    def trivial(self) -> bool:
        """Whether the step is a flow that passes every packet on unchanged."""
        return self.flow is not None and self.flow.match == "1" and [s.text for s in self.steps] == ["next;"]

    def to_json(self) -> dict[str, Any]:
        """Return the step for programs."""
        found: dict[str, Any] = {"kind": self.kind.value, "text": self.text}
        if self.kind is StepKind.FLOW and self.flow is not None:
            flow = self.flow
            found |= {"pipeline": flow.pipeline, "table": flow.table_id, "stage": self.stage, "match": flow.match}
            found |= {"priority": flow.priority, "uuid": flow.uuid}
        if self.origin:
            found["origin"] = self.origin.to_json()
        if self.steps:
            found["steps"] = [step.to_json() for step in self.steps]
        return found


class Delivery(NamedTuple):
    """A packet that reached a logical port.

    Arguments:
        port: the port.
        packet: the delivered packet.
        datapath: the switch or router that the port belongs to.
        is_answer: whether it was delivered to the inport and is not a copy of the packet: a generated reply, or a
            refusal.
        resolves: whether it is an ARP or ND request for the next hop of a waiting packet.
    """

    port: sb.PortBinding
    packet: Microflow
    datapath: Datapath
    is_answer: bool = False
    resolves: bool = False


@dataclass(slots=True)
class Trace:
    """The trace of one packet.

    Arguments:
        microflow: the packet as an expression.
        root: the root of the steps.
        deliveries: the delivered packets, in order.
    """

    microflow: str
    root: Step
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def outputs(self) -> list[str]:
        """The names of the logical ports that the packet was delivered to, in order."""
        return [delivery.port.logical_port for delivery in self.deliveries]

    def steps(self) -> Iterator[Step]:
        """Yield every step in order."""
        for _, step in self.root.walk():
            yield step

    def drops(self) -> list[Step]:
        """Return the steps that dropped a copy of the packet."""
        return [step for step in self.steps() if step.kind is StepKind.DROP]

    def origins(self) -> list[Origin]:
        """Return the origins of the decisive flows, each once, in order."""
        return list(dict.fromkeys(step.origin for step in self.steps() if step.origin))

    def verdicts(self) -> list[str]:
        """Return the fates of the packet and its copies, each once, in sentences without a full stop."""
        found = []
        for fate, words in (
            ((False, False), "delivered to"),
            ((True, False), "sent back to"),
            ((False, True), "the packet waits for its next hop's address, for which the router asks at"),
            ((True, True), "the packet waits for its next hop's address, for which the router asks at"),
        ):
            labels = dict.fromkeys(label(d.port) for d in self.deliveries if (d.is_answer, d.resolves) == fate)
            if labels:
                found.append(f"{words} {', '.join(labels)}")
        found += dict.fromkeys(step.verdict for step in self.steps() if step.verdict)
        return found or ["not delivered"]

    def to_json(self) -> dict[str, Any]:
        """Return the trace for programs."""
        return {
            "microflow": self.microflow,
            "outputs": self.outputs,
            "verdicts": self.verdicts(),
            "steps": [step.to_json() for step in self.root.steps],
        }


def stage_name(flow: sb.LogicalFlow) -> str:
    """Return the name of a flow's stage, or its number if Southbound has no name for it."""
    name: str = flow.external_ids.get("stage-name", "")
    return name or f"table {flow.table_id}"


def label(port: sb.PortBinding) -> str:
    """Return a port's name in quotes, and behind it its display name or purpose."""
    friendly = port.external_ids.get("neutron:port_name") or port.external_ids.get("name")
    if not friendly and port.type == "localnet":
        friendly = f"physical network {port.options.get('network_name', 'unknown')}"
    if not friendly and port.type == "localport" and "neutron:device_owner" in port.external_ids:
        friendly = "metadata"
    return f'"{port.logical_port}" ({friendly})' if friendly else f'"{port.logical_port}"'
