"""Follow one packet through the logical pipelines, and say at each step which flow decided and why (ovn-trace(8)).

The tracer is a machine for actions: a trace runs the `evaluate` of the same actions whose `encode` the controller
installs. Connections that a trace commits are established for later traces, so that the reply to a packet is traced by
tracing the reply.

A stage whose last action hands the packet on is left before the next one is entered, so the length of a pipeline does
not deepen the stack. A packet that loops is stopped after `STAGES` stages, and the trace says so.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from ovenbird.lang.actions import Check, Translation, Zone
from ovenbird.lang.actions.action import Noted
from ovenbird.lang.actions.flow import Next, Output
from ovenbird.lang.actions.qos import Sample
from ovenbird.lang.actions.relay import DhcpRelayResponse
from ovenbird.lang.actions.services import DnsLookup
from ovenbird.lang.errors import LangError
from ovenbird.lang.evaluate import evaluate
from ovenbird.lang.microflow import Microflow, parse_microflow
from ovenbird.model import sb
from ovenbird.net.addresses import ipv4_text, ipv6_text, is_mac, mac_number
from ovenbird.net.ethernet import IPV4, IPV6
from ovenbird.pipeline.flag_bits import FlagBit
from ovenbird.pipeline.stages import Pipeline
from ovenbird.verify import port_security
from ovenbird.verify.conntrack import DESTINATION_TRANSLATED, INVALID, Tracker, flags, format_state
from ovenbird.verify.errors import NoReplyError, UnknownPortError
from ovenbird.verify.learned_addresses import LearnedAddresses
from ovenbird.verify.packets import changes, describe, is_refusal, reply
from ovenbird.verify.provenance import Provenance
from ovenbird.verify.steps import Delivery, Step, StepKind, Trace, label, stage_name

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from ovenbird.lang.actions import Action
    from ovenbird.verify.network import Datapath, Flow, LogicalNetwork

STAGES = 4096
"""Maximum stages of one trace; the switch drops a packet after as many resubmits."""
NESTING = 72
"""Maximum nesting of pipelines, copies and recirculations; a datapath takes up to four levels."""

_LOGICAL_REGISTERS = ("xxreg0", "xxreg1", "reg8", "reg9")
_CONNECTION = ("ct_state", "ct_mark", "ct_label", "ct_nw_dst", "ct_ipv6_dst", "ct_tp_dst")
_FLAGS, _INPORT, _OUTPORT, _METADATA = "reg10", "reg14", "reg15", "metadata"
_LOOPBACK = FlagBit.LOOPBACK.mask
_JOINED = ("patch", "l3gateway")
_IS_GATEWAY = "neutron:is_ext_gw"
_TTL = 64
_IP = (IPV4, IPV6)


class Tracer:
    """Traces packets through one Southbound; connections and learned addresses are kept between them.

    Arguments:
        network: the logical network.
        provenance: finds the origins of flows.
    """

    def __init__(self, network: LogicalNetwork, provenance: Provenance | None = None) -> None:
        self.network = network
        self.provenance = provenance or Provenance()
        self.tracker = Tracker()
        self.packet = Microflow()
        self.stack: list[int] = []
        self._states: list[int] = []
        self._told: dict[Hashable, int] = {}  # what a zone's tracker was said to say
        self._learned = LearnedAddresses(network.store)
        self._datapath: Datapath
        self._pipeline = Pipeline.INGRESS
        self._table = 0
        self._trace: Trace
        self._block: Step  # where flows go
        self._here: Step  # where what an action does is told
        self._parent: tuple[Step, bool]  # where a block goes, and whether it follows rather than nests
        self._action: Action | None = None  # the flow's action under way; none inside a block of actions
        self._tail = False  # whether that is a `next` with nothing behind it
        self._goto: tuple[Pipeline, int] | None = None
        self._refused = ""
        self._refusing = False  # whether the packet was made to refuse another
        self._resolving = False  # whether it was made to ask for a neighbour's address
        self._entry: sb.PortBinding  # where the packet entered
        self._asked: tuple[int, ...] = ()  # what kind of packet it was then
        self._count = self._depth = 0

    def trace(self, datapath: str | None, microflow: str, ct: Sequence[str] = ()) -> Trace:
        """Trace a packet.

        Arguments:
            datapath: name or UUID of the logical switch or router where it begins; None for that of the inport.
            microflow: the packet, as an expression such as `inport == "p" && eth.src == 0a:00:00:00:00:01 && icmp4`.
            ct: the results of successive connection tracking lookups: flags such as `new` or `est,rpl`.
                Further lookups follow connections: a packet of an uncommitted connection is new.

        Raises:
            VerifyError: there is no such datapath, or the packet has no inport, or there is no such flag.
            LangError: the expression does not parse, or describes no one packet.
        """
        start = self.network.start(datapath, microflow)
        states = [flags(words) for words in ct]
        return self.trace_packet(start, parse_microflow(microflow, start.bindings), microflow, states)

    def reply(self, trace: Trace, ct: Sequence[str] = ()) -> Trace:
        """Trace the reply to a packet, from the port to which it was delivered first.

        Arguments:
            trace: of the packet.
            ct: as for `trace`.

        Raises:
            NoReplyError: it was not delivered, or there is no reply to such a packet.
        """
        if not trace.deliveries:
            raise NoReplyError("the packet was not delivered, so there is no reply")
        delivery = trace.deliveries[0]
        if delivery.is_answer:
            raise NoReplyError("the packet was answered on the way: what was delivered is the answer")
        if delivery.resolves:
            raise NoReplyError("the packet waits for its next hop's address, so there is no reply yet")
        port, packet, datapath, *_ = delivery
        words = [word for text in sorted(port.mac) for word in text.split() if is_mac(word)]
        answer = reply(packet, mac_number(words[0]) if words else None)
        answer[_INPORT] = port.tunnel_key
        states = [flags(words) for words in ct]
        return self.trace_packet(datapath, answer, describe(answer, port.logical_port), states)

    def trace_packet(
        self, start: Datapath, packet: Microflow, microflow: str = "", states: Sequence[int] = ()
    ) -> Trace:
        """Trace a packet that is given by its headers.

        Arguments:
            start: the datapath where it enters.
            packet: its headers, and the inport's key in reg14.
            microflow: its expression, to show.
            states: ct_state after successive lookups.

        Raises:
            UnknownPortError: the inport is none of the datapath's.
        """
        if packet[_INPORT] not in start.by_key:
            raise UnknownPortError(f"the packet needs an inport of {start.name}")
        if packet["eth_type"] in _IP and not packet["nw_ttl"]:
            packet["nw_ttl"] = _TTL
        root = Step(StepKind.BLOCK, microflow)
        self._trace = Trace(microflow, root)
        self._block = self._here = root
        self._parent = root, True
        self._action, self._tail, self._goto, self._refused = None, False, None, ""
        self._refusing, self._resolving = False, False
        self._learned.begin()
        self._entry, self._asked = start.by_key[packet[_INPORT]], _kind(packet)
        self._count = self._depth = 0
        self._states = list(reversed(states))
        self._told = {}
        self.stack = []
        self._enter(start, packet)
        self._learned.finish()
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
        """Continue in a stage: as a subroutine, or after the present flow if this is its last action."""
        where = pipeline or self._pipeline, self._table + 1 if table is None else table
        if self._tail:
            self._goto = where
            return
        outer = self._pipeline, self._table
        action = self._action
        self._pipeline, self._table = where
        if action is None:
            self._walk()
        else:
            with self._inside(self._title(action)):
                self._walk()
        self._pipeline, self._table = outer

    def output(self) -> None:
        """Send the packet on: to the egress pipeline of its outport, or from there to the port."""
        if self._pipeline is Pipeline.EGRESS:
            self._deliver()
            return
        key = self.packet[_OUTPORT]
        group = self._datapath.groups.get(key)
        if group is not None:
            with self._inside(f'multicast(dp="{self._datapath.name}", mcgrp="{group.name}")'):
                if not group.ports:
                    self._drop(f"multicast group {group.name} has no ports")
                for member in sorted(group.ports, key=lambda p: p.tunnel_key):
                    self._egress(member)
        elif (port := self._datapath.by_key.get(key)) is not None:
            self._egress(port)
        else:
            self._drop("output to no port" if not key else f"there is no port with key {key}")

    def track(self, zone: Zone, translation: Translation | None = None) -> None:
        """Look the packet's connection up; with a translation, apply that of the connection."""
        place = self._zone(zone)
        if self._states and (translation is None or translation.told):
            self.packet["ct_state"] = self._told[place] = self._states.pop()
            self.packet["ct_mark"] = self.packet["ct_label"] = 0
            return
        with self._quoting():
            self.tracker.track(place, self.packet, translate=translation is not None, valid=self._is_told_valid)

    def commit(
        self, zone: Zone, translation: Translation | None, *, mark: tuple[int, int], label: tuple[int, int]
    ) -> None:
        """Commit the packet's connection and set bits of its mark and label."""
        place = self._zone(zone)
        packet = self.packet if translation is not None else self.packet.copy()  # without one nothing sees the state
        with self._quoting():
            connection = self.tracker.commit(place, packet, translation, valid=self._is_told_valid)
        if connection is None:
            return
        packet["ct_mark"] = connection.mark = connection.mark & ~mark[1] | mark[0]
        packet["ct_label"] = connection.label = connection.label & ~label[1] | label[0]
        if place in self._told:
            packet["ct_state"] = self._told[place] | connection.translated

    @property
    def _is_told_valid(self) -> bool:
        """Whether the user has given the packet a connection state other than invalid.

        As in `ovn-trace`, that state applies wherever the packet is translated, even if a switch would find it invalid.
        """
        return bool(self._told) and not any(state & INVALID for state in self._told.values())

    @contextmanager
    def _quoting(self) -> Iterator[None]:
        """Record how a translation changes the packet that an ICMP error quotes."""
        quoted = self.packet.quoted
        before = dict(quoted.values) if quoted is not None else {}
        yield
        if quoted is not None and (changed := " ".join(changes(before, after=quoted.values))):
            self._note(f"in the packet that it quotes: {changed}")

    def clear_tracking(self) -> None:
        """Forget the packet's connection state."""
        for name in _CONNECTION:
            self.packet[name] = 0

    def neighbor(self, port: int, *, address: int, ipv6: bool) -> int | None:
        """Return the MAC of a neighbour, from Southbound or learned from an earlier packet."""
        return self._learned.neighbor(self._datapath.port_name(port), address=_address(address, ipv6=ipv6))

    def learn_neighbor(self, port: int, *, address: int, mac: int, ipv6: bool) -> None:
        """Learn a neighbour's MAC, for later packets."""
        text = _address(address, ipv6=ipv6)
        self._learned.learn_neighbor(self._datapath.port_name(port), address=text, mac=mac)

    def forwarding(self, mac: int) -> int | None:
        """Return the key of a MAC's port, from Southbound or learned from an earlier packet."""
        return self._learned.forwarding(self._datapath.key, mac=mac)

    def learn_forwarding(self, mac: int, *, port: int) -> None:
        """Learn a MAC's port, for later packets."""
        self._learned.learn_forwarding(self._datapath.key, mac=mac, port=port)

    def check(self, check: Check) -> bool:
        """Return the result of a check; for replies, affinity and ECMP routes it depends on the state of a chassis."""
        if check is Check.IN_PORT_SEC:
            port = self._datapath.by_key.get(self.packet[_INPORT])
            refused = port is not None and not port_security.may_send(port.port_security, self.packet)
        elif check is Check.OUT_PORT_SEC:
            port = self._datapath.by_key.get(self.packet[_OUTPORT])
            refused = port is not None and not port_security.may_receive(port.port_security, self.packet)
        elif check is Check.HAIRPIN:
            return self._comes_back()
        else:
            self._note(f"{check.value}: not known to a trace, assuming no")
            return False
        if refused and port is not None:
            entries = ", ".join(sorted(port.port_security))
            self._refused = f"the port security of {label(port)}, which is {entries}"
            self._note(f"against {self._refused}")
        return refused

    def _comes_back(self) -> bool:
        """Return whether a load balancer of the switch has sent a packet back to its own sender (`chk_lb_hairpin`)."""
        family = "ipv6" if self.packet["eth_type"] == IPV6 else "ip"
        is_its_own = self.packet[f"{family}_src"] == self.packet[f"{family}_dst"]
        return is_its_own and bool(self.packet["ct_state"] & DESTINATION_TRANSLATED)

    def choose(self, weights: Sequence[int]) -> int:
        """Choose the first alternative that is possible."""
        return next((i for i, weight in enumerate(weights) if weight), 0)

    def answers(self, action: Action) -> bool:
        """Assume replies of DHCP and router advertisement; a microflow contains no name for DNS.

        A relayed DHCP reply, whose client is named only inside of it, is assumed to be for a client that asked for a
        broadcast (RFC 2131, section 4.1).
        """
        if isinstance(action, DhcpRelayResponse):
            self._note("assuming that the client asked for a broadcast")
            self.packet["eth_dst"], self.packet["ip_dst"] = (1 << 48) - 1, (1 << 32) - 1
        return not isinstance(action, DnsLookup)

    def note(self, action: Action, text: str = "") -> None:
        """Record an action whose effect is not on the packet."""
        if text:
            self._note(f"{text}: {action}")
        elif isinstance(action, Noted) and action.FATE:
            self._here.steps[-1].verdict = action.FATE

    # -- walking --------------------------------------------------------------------------------------------------

    def _enter(self, datapath: Datapath, packet: Microflow) -> None:
        """Run the ingress pipeline of a datapath."""
        outer = (self._datapath, self._pipeline, self._table) if hasattr(self, "_datapath") else None
        original = self.packet
        self._datapath, self._pipeline, self._table, self.packet = datapath, Pipeline.INGRESS, 0, packet
        packet[_METADATA] = datapath.key
        with self._inside(f'ingress(dp="{datapath.name}", inport="{datapath.port_name(packet[_INPORT])}")'):
            self._walk()
        self.packet = original
        if outer is not None:
            self._datapath, self._pipeline, self._table = outer

    def _egress(self, port: sb.PortBinding) -> None:
        """Run the egress pipeline for one port, unless that is where the packet came from."""
        if port.type == "chassisredirect":
            port = self._datapath.ports.get(port.options.get("distributed-port", ""), port)
        inport = self.packet[_INPORT]
        if port.tunnel_key == inport and not self.packet[_FLAGS] & _LOOPBACK:
            self._note(f"not back to {label(port)}, where the packet came from")
            return
        original, pipeline, table = self.packet, self._pipeline, self._table
        self.packet = packet = original.copy()
        packet[_OUTPORT] = port.tunnel_key
        for register in _LOGICAL_REGISTERS:
            packet[register] = 0
        self._pipeline, self._table = Pipeline.EGRESS, 0
        source = self._datapath.port_name(inport)
        with self._inside(f'egress(dp="{self._datapath.name}", inport="{source}", outport="{port.logical_port}")'):
            self._walk()
        self.packet, self._pipeline, self._table = original, pipeline, table

    def _deliver(self) -> None:
        """Deliver the packet to its outport: out of the network, or into the datapath of a patch port's peer."""
        port = self._datapath.by_key.get(self.packet[_OUTPORT])
        if port is None:
            self._drop("the outport is gone")
            return
        if lost := self._unhosted(port):
            self._drop(lost)
            return
        peer = self.network.peer(port) if port.type in _JOINED else None
        text = f'output to {label(port)}, type "{port.type}"'
        if peer is None:
            answer = port == self._entry and (
                self.packet[_INPORT] == port.tunnel_key or _kind(self.packet) != self._asked
            )
            self._trace.deliveries.append(
                Delivery(
                    port, self.packet.copy(), self._datapath, is_answer=answer, resolves=self._resolving and not answer
                )
            )
            self._here.steps.append(Step(StepKind.OUTPUT, text))
            return
        self._note(text)
        packet = self.packet.copy()
        for register in (*_LOGICAL_REGISTERS, _FLAGS, _OUTPORT, *_CONNECTION):
            packet[register] = 0
        packet[_INPORT] = peer.tunnel_key
        self._enter(self.network.of(peer.datapath), packet)

    def _unhosted(self, port: sb.PortBinding) -> str:
        """Return why a gateway port without a chassis delivers nothing; empty for other ports."""
        if port.external_ids.get(_IS_GATEWAY) != str(True):
            return ""
        place = port if port.type == "l3gateway" else self._datapath.ports.get(f"cr-{port.logical_port}")
        if place is None:
            return (
                f"no chassis can host the gateway {label(port)}: one needs the network in ovn-bridge-mappings and "
                "enable-chassis-as-gw in ovn-cms-options"
            )
        return "" if sb.PortBinding.chassis.raw(place) else f"no chassis has claimed the gateway {label(place)}"

    def _walk(self) -> None:
        """Run the present stage and those after it, as long as each passes the packet on with its last action."""
        outer = self._here
        self._depth += 1
        while True:
            self._here = self._block
            self._count += 1
            if self._count > STAGES or self._depth > NESTING:
                self._drop(f"the packet is in a loop: the trace ends after {self._count - 1} stages")
                break
            flow = self._match()
            if flow is None or flow.actions is None:
                self._drop(f"no match in table {self._table} (implicit drop)")
                break
            self._run(flow)
            if self._goto is None:
                break
            self._pipeline, self._table = self._goto
        self._here = outer
        self._depth -= 1

    def _run(self, flow: Flow) -> None:
        """Run a flow's actions; `_goto` then has the packet's next stage."""
        row, actions = flow.row, () if flow.actions is None else flow.actions.actions
        text = f"{row.table_id:2}. {stage_name(row)}: {row.match}, priority {row.priority}, uuid {row.uuid[:8]}"
        step = Step(StepKind.FLOW, text, row, self.provenance.of(row))
        block, outer, action_before = self._block, self._parent, self._action
        block.steps.append(step)
        self._here, self._goto = step, None
        if all(type(action) is Sample for action in actions):
            self._drop("drop;")
        for place, action in enumerate(actions, 1):
            last = place == len(actions)
            step.steps.append(Step(StepKind.ACTION, action.format()))
            self._parent = (block, True) if last else (step, False)
            self._action, self._tail = action, last and type(action) is Next
            going = self._evaluate(action)
            self._tail = False
            if not going:
                self._drop("the packet's time to live has expired")
                break
        self._parent, self._action = outer, action_before

    def _evaluate(self, action: Action) -> bool:
        """Evaluate an action: as a block if it contains actions, else with the headers that it changes."""
        if isinstance(action, (Next, Output)):
            return action.evaluate(self)
        if getattr(action, "actions", None) is not None:
            return self._evaluate_block(action)
        before = dict(self.packet.values)
        step = self._here
        going = action.evaluate(self)
        step.steps += [Step(StepKind.CHANGE, text) for text in changes(before, after=self.packet.values)]
        return going

    def _evaluate_block(self, action: Action) -> bool:
        """Evaluate an action that runs actions on another packet; resets and errors cause no further ones."""
        name, flow = action.format().partition(" {")[0], self._here
        refusal = name in _REFUSALS
        if refusal and (self._refusing or is_refusal(self.packet)):
            self._drop(f"the packet is itself a refusal, which {name} does not answer")
            return True
        if refusal and self.packet["eth_type"] not in _IP:
            self._drop(f"the packet is not an IP packet, and {name} answers no other")
            return True
        before = self._refusing, self._resolving
        self._refusing, self._resolving = self._refusing or refusal, self._resolving or name in _RESOLUTIONS
        with self._inside(f"{name} {{ ... }}", f"rejected {self._by(flow)}" if refusal else ""):
            self._action = None
            going = action.evaluate(self)
        self._refusing, self._resolving = before
        return going

    def _match(self) -> Flow | None:
        bindings, packet = self._datapath.bindings, self.packet
        for flow in self._datapath.flows(self._pipeline.value, self._table):
            if flow.match is None:
                continue
            try:
                if evaluate(flow.match, packet, bindings):
                    return flow
            except LangError as error:
                self._note(f"flow {flow.row.uuid[:8]} cannot be evaluated: {error.message}")
        return None

    def _zone(self, zone: Zone) -> Hashable:
        """Return the identity of a conntrack zone: a port's in a switch, else a datapath's."""
        if zone is not Zone.PORT:
            return self._datapath.uuid, zone
        key = self.packet[_INPORT if self._pipeline is Pipeline.INGRESS else _OUTPORT]
        return self._datapath.uuid, key

    # -- telling --------------------------------------------------------------------------------------------------

    @contextmanager
    def _inside(self, title: str, verdict: str = "") -> Iterator[None]:
        """Open a block, to which the steps inside are added."""
        parent, tail = self._parent
        block = Step(StepKind.BLOCK, title, verdict=verdict, tail=tail)
        parent.steps.append(block)
        outer = self._block, self._here, self._parent, self._action, self._goto
        self._block = self._here = block
        self._parent, self._goto = (block, False), None
        yield
        self._block, self._here, self._parent, self._action, self._goto = outer

    def _title(self, action: Action) -> str:
        """Return the title of the block in which an action runs the next stages."""
        name = action.format().removesuffix(";")
        if isinstance(action, Next):
            return name
        state = f"ct_state={format_state(self.packet['ct_state'])}"
        return f"{name[:-1]}, {state})" if name.endswith(")") else f"{name}({state})"

    def _note(self, text: str) -> None:
        self._here.steps.append(Step(StepKind.NOTE, f"/* {text} */"))

    def _drop(self, text: str) -> None:
        step, at = Step(StepKind.DROP, text), self._here
        if at.kind is StepKind.FLOW:
            step.flow, step.origin = at.flow, at.origin
        step.verdict = f"dropped {self._by(at, '' if text == 'drop;' else text)}"
        at.steps.append(step)

    def _by(self, at: Step, text: str = "") -> str:
        """Return where and by which flow the packet is dropped or rejected."""
        where = [f"in {at.stage} of {self._datapath.name}"] if at.stage else [f"in {self._datapath.name}"]
        if self._pipeline is Pipeline.EGRESS and (port := self._datapath.by_key.get(self.packet[_OUTPORT])) is not None:
            where.append(f"on the way to {label(port)}")
        reason = text or (str(at.origin) if at.origin else "")
        if not reason:
            priority = at.flow.priority if at.flow is not None else None
            reason = self.provenance.explain(at.stage, priority=priority, refused=self._refused)
        if not reason and at.flow is not None:
            reason = f"flow {at.flow.uuid[:8]}, {at.flow.match}"
        return f"{', '.join(where)}: {reason}"


_RESOLUTIONS = frozenset(("arp", "nd_ns"))
_REFUSALS = frozenset(("reject", "tcp_reset", "sctp_abort", "icmp4", "icmp6", "icmp4_error", "icmp6_error"))


def _kind(packet: Microflow) -> tuple[int, ...]:
    """Return the key that distinguishes a request from the reply that a router makes of it."""
    return tuple(packet[name] for name in ("nw_proto", "icmp_type", "icmpv6_type", "arp_op", "tcp_flags"))


def _address(value: int, *, ipv6: bool) -> str:
    return ipv6_text(value) if ipv6 else ipv4_text(value)
