"""A trace as a value: the steps of one packet, and what became of it.

Invariants: a block (a pipeline, a packet behind `ct_next`, a copy) holds flows in the order in which the packet met
them; a flow holds its actions. What the last action of a flow opens follows the flow and is not nested in it (`tail`):
a long path through many stages is a flat list, and only forks are indented, as in ovn-trace(8).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.lang.microflow import Microflow
    from ovenbird.model import sb
    from ovenbird.verify.network import Datapath
    from ovenbird.verify.provenance import Origin


class StepKind(StrEnum):
    """What a step is."""

    BLOCK = "block"
    FLOW = "flow"
    ACTION = "action"
    CHANGE = "change"
    """A header field's new value, where an action gave it one."""
    NOTE = "note"
    OUTPUT = "output"
    DROP = "drop"


@dataclass(slots=True)
class Step:
    """One step, with what followed from it.

    Arguments:
        kind: what it is.
        text: what it says by itself.
        flow: the logical flow, for a step of that kind, and for a drop the flow that dropped.
        origin: what stands behind the flow.
        verdict: what this step means for the packet as a whole, in one sentence; empty for most.
        tail: whether the step follows its parent rather than belonging into it.
    """

    kind: StepKind
    text: str
    flow: sb.LogicalFlow | None = None
    origin: Origin | None = None
    verdict: str = ""
    tail: bool = False
    steps: list[Step] = field(default_factory=list)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Step]]:
        """Yield this step and those below it in order, with the depth at which each is to be shown."""
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
        """Whether the step is a flow that just hands every packet on."""
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
        port: which.
        packet: as it left.
        datapath: the switch or router that the port belongs to.
        is_answer: whether it came out where the packet went in and is no copy of it: an answer made on the way, or a
            refusal.
        resolves: whether it asks for a neighbour's address, for a packet that waits for the answer.
    """

    port: sb.PortBinding
    packet: Microflow
    datapath: Datapath
    is_answer: bool = False
    resolves: bool = False


@dataclass(slots=True)
class Trace:
    """What happened to one packet.

    Arguments:
        microflow: the packet as an expression.
        root: the step that holds all others.
        deliveries: what reached logical ports, in order.
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
        """Return the steps where a copy of the packet ended without being delivered."""
        return [step for step in self.steps() if step.kind is StepKind.DROP]

    def origins(self) -> list[Origin]:
        """Return what stands behind the flows that decided, each once, in order."""
        return list(dict.fromkeys(step.origin for step in self.steps() if step.origin))

    def verdicts(self) -> list[str]:
        """Return what became of the packet, in sentences without a full stop: each fate once."""
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
        return found or ["went nowhere"]

    def to_json(self) -> dict[str, Any]:
        """Return the trace for programs."""
        return {
            "microflow": self.microflow,
            "outputs": self.outputs,
            "verdicts": self.verdicts(),
            "steps": [step.to_json() for step in self.root.steps],
        }


def stage_name(flow: sb.LogicalFlow) -> str:
    """Return the name of a flow's stage, its number where a Southbound does not tell names."""
    name: str = flow.external_ids.get("stage-name", "")
    return name or f"table {flow.table_id}"


def label(port: sb.PortBinding) -> str:
    """Return a port's name in quotes, and behind it the name that people gave it, or what it is there for."""
    friendly = port.external_ids.get("neutron:port_name") or port.external_ids.get("name")
    if not friendly and port.type == "localnet":
        friendly = f"physical network {port.options.get('network_name', 'unknown')}"
    if not friendly and port.type == "localport" and "neutron:device_owner" in port.external_ids:
        friendly = "metadata"
    return f'"{port.logical_port}" ({friendly})' if friendly else f'"{port.logical_port}"'
