"""Follow one packet through the logical pipelines, and say at each step which flow decided and why (ovn-trace(8)).

The tracer is the machine that actions act on: a trace runs the very ``evaluate`` of the actions whose ``encode`` the
controller installs. Connections that a trace commits are established for the traces after it, so that the reply to a
packet is traced by tracing the reply.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from ovenbird.lang.actions import Check, Pipeline, Translation, Zone
from ovenbird.lang.actions.services import DnsLookup
from ovenbird.lang.errors import LangError
from ovenbird.lang.evaluate import evaluate
from ovenbird.lang.microflow import Microflow, parse_microflow
from ovenbird.model import sb
from ovenbird.verify import port_security
from ovenbird.verify.conntrack import DESTINATION_TRANSLATED, SOURCE_TRANSLATED, Tracker, Tuple
from ovenbird.verify.errors import VerifyError
from ovenbird.verify.origin import Origins

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from ovenbird.lang.actions import Action
    from ovenbird.verify.network import Datapath, Flow, Network

LIMIT = 4096
"""Steps that one trace may have; the datapath gives up on a packet after as many resubmits."""

_LOGICAL_REGISTERS = ("xxreg0", "xxreg1", "reg8", "reg9")
_FLAGS, _INPORT, _OUTPORT, _METADATA = "reg10", "reg14", "reg15", "metadata"
_LOOPBACK = 1 << 0
_JOINED = ("patch", "l3gateway")


@dataclass(slots=True)
class Step:
    """One line of a trace, with what followed from it.

    Arguments:
        text: the line.
        kind: ``pipeline``, ``flow``, ``action``, ``note``, ``output`` or ``drop``.
        flow: the logical flow that matched, for a step of that kind.
        origin: what stands behind the flow, in words; empty if unknown.
    """

    text: str
    kind: str
    flow: sb.LogicalFlow | None = None
    origin: str = ""
    steps: list[Step] = field(default_factory=list)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Step]]:
        """Yield this step and those below it, with their depth."""
        yield depth, self
        for step in self.steps:
            yield from step.walk(depth + 1)


@dataclass(slots=True)
class Trace:
    """What happened to one packet.

    Arguments:
        root: the first step.
        outputs: names of the logical ports that the packet was delivered to, in order.
    """

    root: Step
    outputs: list[str] = field(default_factory=list)

    def drops(self) -> list[Step]:
        """Return the steps where a copy of the packet ended without being delivered."""
        return [step for _, step in self.root.walk() if step.kind == "drop"]

    def deciding(self) -> list[str]:
        """Return what stood behind the flows that matched, in words, each once."""
        return list(dict.fromkeys(step.origin for _, step in self.root.walk() if step.origin))

    def __str__(self) -> str:
        lines = []
        for depth, step in self.root.walk():
            origin = f"   # {step.origin}" if step.origin else ""
            lines.append("    " * depth + step.text + origin)
        return "\n".join(lines)


class Tracer:
    """Traces packets through one Southbound, remembering connections and learned addresses between them.

    Arguments:
        network: what to walk.
        origins: where to look for what stands behind flows.
    """

    def __init__(self, network: Network, origins: Origins | None = None) -> None:
        self.network = network
        self.origins = origins or Origins()
        self.tracker = Tracker()
        self.packet = Microflow()
        self.stack: list[int] = []
        self._neighbours: dict[tuple[str, str], int] = {}
        self._learned: dict[tuple[int, int], int] = {}
        self._datapath: Datapath
        self._pipeline = Pipeline.INGRESS
        self._table = 0
        self._at: Step
        self._trace: Trace
        self._count = 0

    def trace(self, datapath: str, microflow: str) -> Trace:
        """Trace a packet.

        Arguments:
            datapath: name or UUID of the logical switch or router where it begins.
            microflow: the packet, as an expression such as ``inport == "p" && eth.src == 0a:00:00:00:00:01 && icmp4``.

        Raises:
            VerifyError: there is no such datapath, or the packet has no inport.
            LangError: the expression does not parse, or describes no one packet.
        """
        start = self.network.datapath(datapath)
        packet = parse_microflow(microflow, start.bindings)
        if packet[_INPORT] not in start.by_key:
            raise VerifyError(f"{microflow}: the packet needs an inport of {start.name}")
        if packet["eth_type"] in (0x0800, 0x86DD) and not packet["nw_ttl"]:
            packet["nw_ttl"] = 64
        root = Step(f"# {microflow}", "pipeline")
        self._at, self._trace, self._count = root, Trace(root), 0
        self.stack = []
        self._enter(start, packet)
        return self._trace

    # -- the machine that actions act on --------------------------------------------------------------------------

    @property
    def is_switch(self) -> bool:
        """Whether the packet is in a switch."""
        return self._datapath.is_switch

    def port_key(self, name: str) -> int:
        """Return the key of a port or multicast group of the datapath, 0 if there is none by that name."""
        return self._datapath.keys.get(name, 0)

    def next(self, pipeline: Pipeline | None, table: int | None) -> None:
        """Run a stage as a subroutine."""
        outer = self._pipeline, self._table
        self._pipeline = pipeline or self._pipeline
        self._table = self._table + 1 if table is None else table
        try:
            self._stage()
        finally:
            self._pipeline, self._table = outer

    def output(self) -> None:
        """Send the packet on: to the egress pipeline of its outport, or from there to the port."""
        if self._pipeline is Pipeline.EGRESS:
            self._deliver()
            return
        key = self.packet[_OUTPORT]
        group = self._datapath.groups.get(key)
        if group is not None:
            ports = sorted(group.ports, key=lambda p: p.tunnel_key)
            outer = self._push(Step(f"multicast: dp={self._datapath.name}, mcgrp={group.name}", "note"))
            for port in ports:
                self._egress(port.tunnel_key)
            self._at = outer
            if not ports:
                self._drop(f"multicast group {group.name} has no ports")
        elif key in self._datapath.by_key:
            self._egress(key)
        else:
            self._drop("output to no port" if not key else f"there is no port with key {key}")

    def track(self, zone: Zone, translation: Translation | None = None) -> None:
        """Look the packet's connection up; with a translation, undo the one it was committed with."""
        found = self.tracker.look_up(self._zone(zone), self.packet)
        if found is not None and translation is not None:
            connection, reply = found
            _become(self.packet, (connection.original if reply else connection.answer).reverse)

    def commit(
        self, zone: Zone, translation: Translation | None, mark: tuple[int, int], label: tuple[int, int]
    ) -> None:
        """Commit the packet's connection and set bits of its mark and label."""
        place = self._zone(zone)
        answer, translated = None, 0
        if translation is not None and translation.address is not None:
            answer = _answer(Tuple.of(self.packet), translation, translation.address)
            translated = SOURCE_TRANSLATED if translation.source else DESTINATION_TRANSLATED
        connection = self.tracker.commit(place, self.packet, answer, translated)
        connection.mark = connection.mark & ~mark[1] | mark[0]
        connection.label = connection.label & ~label[1] | label[0]
        if answer is not None:
            _become(self.packet, connection.answer.reverse)

    def clear_tracking(self) -> None:
        """Forget the packet's connection state."""
        for name in ("ct_state", "ct_mark", "ct_label"):
            self.packet[name] = 0

    def neighbor(self, port: int, address: int, *, ipv6: bool) -> int | None:
        """Return the MAC of a neighbour, as Southbound or an earlier packet has it."""
        name, text = self._datapath.port_name(port), _address(address, ipv6=ipv6)
        if (name, text) in self._neighbours:
            return self._neighbours[name, text]
        for row in self.network.store.select(sb.MACBinding.ip, text):
            if row.logical_port == name:
                return _mac(row.mac)
        return None

    def learn_neighbor(self, port: int, address: int, mac: int, *, ipv6: bool) -> None:
        """Remember a neighbour's MAC."""
        self._neighbours[self._datapath.port_name(port), _address(address, ipv6=ipv6)] = mac

    def forwarding(self, mac: int) -> int | None:
        """Return the key of the port behind which a MAC is, as Southbound or an earlier packet has it."""
        key = (self._datapath.key, mac)
        if key in self._learned:
            return self._learned[key]
        for row in self.network.store.select(sb.FDB.dp_key, self._datapath.key):
            if _mac(row.mac) == mac:
                found: int = row.port_key
                return found
        return None

    def learn_forwarding(self, mac: int, port: int) -> None:
        """Remember behind which port a MAC is."""
        self._learned[self._datapath.key, mac] = port

    def check(self, check: Check) -> bool:
        """Answer a check; those of load balancing and ECMP routes are of state that only a chassis has."""
        if check is Check.IN_PORT_SEC:
            port = self._datapath.by_key.get(self.packet[_INPORT])
            return port is not None and not port_security.may_send(port.port_security, self.packet)
        if check is Check.OUT_PORT_SEC:
            port = self._datapath.by_key.get(self.packet[_OUTPORT])
            return port is not None and not port_security.may_receive(port.port_security, self.packet)
        self._note(f"{check.value}: not known to a trace, assuming no")
        return False

    def choose(self, weights: Sequence[int]) -> int:
        """Take the first alternative that is ever taken."""
        return next((i for i, weight in enumerate(weights) if weight), 0)

    def answers(self, action: Action) -> bool:
        """Assume that DHCP and router advertisement answer; a microflow holds no name for DNS to look up."""
        return not isinstance(action, DnsLookup)

    def note(self, action: Action, text: str = "") -> None:
        """Record an action whose effect is not on the packet."""
        if text:
            self._note(f"{text}: {action}")

    # -- walking --------------------------------------------------------------------------------------------------

    def _enter(self, datapath: Datapath, packet: Microflow) -> None:
        """Begin the ingress pipeline of a datapath."""
        outer = (self._datapath, self._pipeline, self._table) if hasattr(self, "_datapath") else None
        original = self.packet
        self._datapath, self._pipeline, self._table, self.packet = datapath, Pipeline.INGRESS, 0, packet
        packet[_METADATA] = datapath.key
        inport = datapath.port_name(packet[_INPORT])
        at = self._push(Step(f'ingress(dp="{datapath.name}", inport="{inport}")', "pipeline"))
        self._stage()
        self._at, self.packet = at, original
        if outer is not None:
            self._datapath, self._pipeline, self._table = outer

    def _egress(self, key: int) -> None:
        """Run the egress pipeline for one port."""
        inport = self.packet[_INPORT]
        name = self._datapath.port_name(key)
        if key == inport and not self.packet[_FLAGS] & _LOOPBACK:
            self._note(f'omitting output because inport == outport == "{name}" && !flags.loopback')
            return
        original, pipeline, table = self.packet, self._pipeline, self._table
        self.packet = packet = original.copy()
        packet[_OUTPORT] = key
        for register in _LOGICAL_REGISTERS:
            packet[register] = 0
        self._pipeline, self._table = Pipeline.EGRESS, 0
        where = f'dp="{self._datapath.name}", inport="{self._datapath.port_name(inport)}", outport="{name}"'
        at = self._push(Step(f"egress({where})", "pipeline"))
        self._stage()
        self._at, self.packet, self._pipeline, self._table = at, original, pipeline, table

    def _deliver(self) -> None:
        """Hand the packet to its outport: out of the network, or into the datapath on the other side of a patch."""
        port = self._datapath.by_key.get(self.packet[_OUTPORT])
        if port is None:
            self._drop("the outport is gone")
            return
        peer = self.network.peer(port) if port.type in _JOINED else None
        if peer is None:
            self._trace.outputs.append(port.logical_port)
            self._push(Step(f'output to "{port.logical_port}", type "{port.type}"', "output"), keep=False)
            return
        packet = self.packet.copy()
        for register in (*_LOGICAL_REGISTERS, _FLAGS, _OUTPORT, "ct_state", "ct_mark", "ct_label"):
            packet[register] = 0
        packet[_INPORT] = peer.tunnel_key
        self._push(Step(f'output to "{port.logical_port}", type "{port.type}"', "note"), keep=False)
        self._enter(self.network.of(peer.datapath), packet)

    def _stage(self) -> None:
        """Find the flow of the present stage that matches, and run its actions."""
        self._count += 1
        if self._count > LIMIT:
            raise VerifyError(f"the packet goes round in circles: given up after {LIMIT} stages")
        flow = self._match()
        if flow is None or flow.actions is None:
            self._drop(f"{self._table:2}. no match in table {self._table} (implicit drop)")
            return
        row = flow.row
        stage = row.external_ids.get("stage-name", f"table {row.table_id}")
        text = f"{row.table_id:2}. {stage} ({row.match}): priority {row.priority}, uuid {row.uuid[:8]}"
        at = self._push(Step(text, "flow", row, str(self.origins.of(row))))
        if not flow.actions.actions:
            self._drop("drop;")
        for action in flow.actions.actions:
            self._push(Step(action.format(), "action"), keep=False)
            if not action.evaluate(self):
                break
        self._at = at

    def _match(self) -> Flow | None:
        bindings, packet = self._datapath.bindings, self.packet
        for flow in self._datapath.flows(self._pipeline.value, self._table):
            if flow.match is None:
                continue
            try:
                if evaluate(flow.match, packet, bindings):
                    return flow
            except LangError as error:
                self._note(f"flow {flow.row.uuid[:8]} cannot be evaluated: {error}")
        return None

    def _zone(self, zone: Zone) -> Hashable:
        """Return the identity of a conntrack zone: a port's in a switch, else a datapath's."""
        if zone is not Zone.PORT:
            return self._datapath.uuid, zone
        key = self.packet[_INPORT if self._pipeline is Pipeline.INGRESS else _OUTPORT]
        return self._datapath.uuid, key

    def _push(self, step: Step, *, keep: bool = True) -> Step:
        """Add a step below the present one, and with ``keep`` make it the present one; return the one before."""
        outer = self._at
        outer.steps.append(step)
        if keep:
            self._at = step
        return outer

    def _note(self, text: str) -> None:
        self._push(Step(f"/* {text} */", "note"), keep=False)

    def _drop(self, text: str) -> None:
        self._push(Step(text, "drop"), keep=False)


def _answer(original: Tuple, translation: Translation, address: int) -> Tuple:
    """Return what replies look like to a connection that is committed with a translation."""
    family, protocol = original.family, original.protocol
    if translation.source:
        port = translation.port or original.source_port
        return Tuple(family, protocol, original.destination, address, original.destination_port, port)
    port = translation.port or original.destination_port
    return Tuple(family, protocol, address, original.source, port, original.source_port)


def _become(packet: Microflow, direction: Tuple) -> None:
    """Give a packet the addresses and ports of a direction."""
    names = ("ipv6_src", "ipv6_dst") if direction.family == 0x86DD else ("ip_src", "ip_dst")
    packet[names[0]], packet[names[1]] = direction.source, direction.destination
    name = {6: "tcp", 17: "udp", 132: "sctp"}.get(direction.protocol)
    if name is not None:
        packet[f"{name}_src"], packet[f"{name}_dst"] = direction.source_port, direction.destination_port


def _address(value: int, *, ipv6: bool) -> str:
    return str(IPv6Address(value) if ipv6 else IPv4Address(value))


def _mac(text: str) -> int:
    return int(text.replace(":", ""), 16)
