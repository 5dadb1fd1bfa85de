"""One packet asked everywhere: ovn-trace and our own trace, each on Debian's Southbound and on ours.

Both ways must agree on both Southbounds, and the two ways with each other, on every output; our trace also on every
header and on the stages that drop. Where ovn-trace knows less than the wire it is compared with itself alone:

- what connection tracking said is handed to it from our trace, which follows connections; of marks it cannot be told,
  nor of translations to undo; where a reply is given its inner source back (`ct_snat;`) it stops;
- port security that names a whole network: it takes the network's own address to be meant, other than ovn-nb(5) says
  and ovn-controller does; nor does it let a host without an IPv6 address yet speak; and it lets out what is neither ARP
  nor IP, and neighbour solicitations with a wrong hop limit;
- a TCP or SCTP packet that is rejected: its resets keep the ports as they were; an ARP packet that is rejected: it is
  answered by ICMP; and a refusal that is refused in its turn;
- a packet keeps the state of its connection on the way from one datapath to the next, where a chassis clears it; and
  one copy of a packet has the registers that the copy before it left;
- `ct_lb_mark` adds what it finds to the state that a packet has, from another zone or from the packet that it refuses,
  where a switch puts it in the place of that state;
- a load balancer without a port leads back to its client (`chk_lb_hairpin`) what has no port, where a chassis looks at
  no port;
- it translates an ICMP error that belongs to no connection; and a router's `ct_dnat;`, to which no state is given here,
  finds a state that makes no new connection to a load balancer's backend;
- a neighbour solicitation of a router keeps the hop limit of the packet that caused it;
- a multicast group of a router names the redirect port of a gateway port, in whose place a chassis puts the gateway
  port (its flows for 0x8000 and above, by the original's controller too): the copy for it gets nowhere.

Where ours is not meant to do what Debian's does, either way is compared on our Southbound alone:

- a router asks for an address of another one that only `snat` uses: Debian's northd lets nobody answer, ours does, as
  later releases do (docs/upstream-fixes.md).

Where a northd of 25.03 does what none before it does, and says otherwise in its manual, nothing is compared:

- it sends what is for the `external_mac` of a translation to the router also where the switch port has addresses of its
  own, where ovn-northd(8) has that for the word `router` alone;
- it floods to ports of the type `external` that take unknown addresses, as which no chassis has an interface.

Where two flows of one priority take a packet, the switch may use either, and nothing is compared: in a switch that
balances, what a stateless ACL kept from being tracked and what goes to a router (`ls_out_pre_lb`, both of 110).

What goes round in circles, and what makes it fall over (router advertisements and solicitations for routers), it is
not asked.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import Any, NamedTuple

from ovenbird.lang.actions import Check
from ovenbird.lang.ast import And, Boolean, Compare, Not, Or, Resident, Test
from ovenbird.lang.evaluate import evaluate
from ovenbird.lang.microflow import parse_microflow
from ovenbird.lang.parser import parse
from ovenbird.model import sb
from ovenbird.pipeline.registers import STATELESS
from ovenbird.verify.conntrack import INVALID, flags, format_state
from ovenbird.verify.errors import NoReplyError
from ovenbird.verify.packets import headers
from ovenbird.verify.steps import StepKind
from ovenbird.verify.trace import Tracer
from support.northd.newer_oracle import DIRECTORY
from support.verify.world import WHOSE, Question

EVERY = bool(os.environ.get("OVENBIRD_EVERY_CT"))
STATES = ("new", "est", "est,rpl", "rel", "rel,rpl", "inv", "new,rel")
ENOUGH = 16
"""More connection states than one packet meets ct_next."""

ALIEN = ("eth.type == 0x88cc", "eth.type == 0x8035")
"""Frames that are neither ARP nor IP."""

UNCHECKED = (*ALIEN, "ip.ttl == 64 && ip6.dst == ff02::1:ff")
"""Packets whose port security ovn-trace does not check: neither ARP nor IP, or solicitations of a wrong hop limit."""

TIES = "ls_out_pre_lb"
"""The stage where flows of one priority take one packet."""

REFUSALS = {"icmp4_error { ... }", "icmp6_error { ... }", "reject { ... }", "tcp_reset { ... }", "sctp_abort { ... }"}

ASKING = {"arp { ... }", "nd_ns { ... }"}
"""By which a router asks for a next hop."""

UNSEEN = "port security of what is not of IP"
ANSWERED_EACH = {UNSEEN, "a refusal of what is not of IP"}
"""Where ovn-trace goes on with what is neither ARP nor IP, a `reject` answers each copy; there may be more in one."""

TRANSLATIONS = ("ct_snat", "ct_dnat", "ct_lb")

SHARED = {"multicast", f"{STATELESS} = 1;"}
"""A copy that a stateless ACL keeps from being tracked finds there what the copy before it was told: to be tracked."""

_OUTPUT = re.compile(r'output\("([^"]+)"\)')


class Choices:
    """Which flow of a stage takes a packet, kept by the values of all fields that the stage looks at.

    One packet is sent through the same stages with dozens of connection states, and most stages look at none of them.
    """

    def __init__(self) -> None:
        self._fields: dict[object, tuple[str, ...]] = {}
        self._chosen: dict[object, object] = {}

    def choose(self, datapath, pipeline, table, packet, choose):
        place = datapath.uuid, pipeline, table
        names = self._fields.get(place)
        if names is None:
            found = {name for flow in datapath.flows(pipeline.value, table) for name in _fields(flow.match)}
            names = self._fields[place] = tuple(sorted(found))
        key = place, tuple(packet[name] for name in names)
        if key not in self._chosen:
            self._chosen[key] = choose()
        return self._chosen[key]


def _fields(expr) -> set[str]:
    """Return the names of the Open vSwitch fields that a match looks at."""
    match expr:
        case None | Boolean() | Resident():
            return set()
        case Not(term):
            return _fields(term)
        case And(terms) | Or(terms):
            return set().union(*map(_fields, terms))
        case Test(ref) | Compare(ref):
            symbol = ref.symbol
            inner = [_fields(parse(text)) for text in (symbol.expansion, symbol.prerequisite) if text]
            return set().union({symbol.field.name} if symbol.field is not None else set(), *inner)
    raise AssertionError(expr)


class Recorder(Tracer):
    """Writes down what connection tracking says; learns no MAC addresses, as ovn-trace."""

    def __init__(self, network, choices: Choices) -> None:
        super().__init__(network)
        self.choices = choices
        self.states: list[str] = []
        self.remembered = False  # whether what an earlier packet left behind decided: a mark, or a translation
        self.tied = False  # whether several flows of one priority, which do different things, took the packet
        self.redirected: list[str] = []  # where copies for groups arrived that went to redirect ports
        self.untranslated = False  # whether a translation passed over the packet, as it is of no connection
        self.comes_back = False  # whether a load balancer sent the packet back to its sender

    def learn_forwarding(self, mac, port) -> None:
        pass

    def _match(self):
        found, tied = self.choices.choose(self._datapath, self._pipeline, self._table, self.packet, self._choose)
        self.tied |= tied
        return found

    def _choose(self):
        """Return the flow that takes a packet, and whether the switch might use another one in the stage of ties."""
        found = super()._match()
        if found is None or found.row.external_ids["stage-name"] != TIES:
            return found, False
        place, bindings = (self._pipeline.value, self._table), self._datapath.bindings
        equal = (f for f in self._datapath.flows(*place) if f.row.priority == found.row.priority)
        others = [f for f in equal if f.match is not None and f.row.actions != found.row.actions]
        return found, any(evaluate(f.match, self.packet, bindings) for f in others)

    def track(self, zone, translation=None) -> None:
        before = headers(self.packet)
        super().track(zone, translation)
        self.remembered |= bool(self.packet["ct_mark"] or self.packet["ct_label"]) or headers(self.packet) != before
        if translation is None or translation.told:
            self.states.append(format_state(self.packet["ct_state"]).replace("|", ","))

    def check(self, check):
        found = super().check(check)
        self.comes_back |= found and check is Check.HAIRPIN
        return found

    def commit(self, zone, translation, *, mark, label) -> None:
        super().commit(zone, translation, mark=mark, label=label)
        self.untranslated |= translation is not None and bool(self.packet["ct_state"] & INVALID)

    def _egress(self, port) -> None:
        before = len(self._trace.deliveries)
        super()._egress(port)
        if port.type == "chassisredirect" and self.packet["reg15"] != port.tunnel_key:
            self.redirected += self._trace.outputs[before:]

    def start_again(self) -> None:
        self.states, self.remembered, self.tied, self.redirected = [], False, False, []
        self.untranslated = self.comes_back = False


def fate(trace):
    """What a packet meets, apart from names of flows and registers.

    A tagged frame from a disabled port meets two flows of one priority, one in each stage of port security. Debian's
    northd knows the addresses that a router translates in every switch around it, ours where their networks are: what
    goes to a router here may go to nobody or to everybody there, and to no more effect; so how many copies of a packet
    a stage drops is not counted. Nor is what becomes on the way to routers of frames that are neither ARP nor IP: they
    drop them, and get none from ours.
    """
    drops = [step for step in trace.drops() if "has no ports" not in step.text and not _in_vain(step)]
    if any(sign in trace.microflow for sign in ALIEN):
        drops = [step for step in drops if step.stage.startswith("ls_in_")]
    arrived = sorted((d.port.logical_port, tuple(sorted(headers(d.packet).items()))) for d in trace.deliveries)
    stages = [step.stage.replace("_in_check_", "_in_apply_") for step in drops]
    copied = any("multicast" in step.text for step in trace.steps())
    return arrived, sorted(set(stages) if copied else stages)


def _in_vain(step):
    """Return whether a drop is that of a router which takes no notice of a packet."""
    return step.stage == "lr_in_admission" or (step.flow is not None and step.flow.match == "arp || nd")


def _balances(step):
    """Return whether a step is that of a router which balances a new connection, or drops it for want of backends."""
    return step.stage == "lr_in_dnat" and step.flow is not None and "ct.new" in step.flow.match


def carries(step, tracked=False):
    """Return whether a packet goes from one datapath to another after it was tracked."""
    if step.kind is StepKind.BLOCK and step.text.startswith("ingress(") and tracked:
        return True
    tracked |= step.kind is StepKind.BLOCK and step.text.startswith("ct_")
    return any(carries(each, tracked) for each in step.steps)


def adds_state(step, tracked=False):
    """Return whether a packet that was tracked is tracked again by `ct_lb_mark`."""
    if step.kind is StepKind.BLOCK:
        if tracked and step.text.startswith("ct_lb"):
            return True
        tracked |= step.text.startswith("ct_")
    return any(adds_state(each, tracked) for each in step.steps)


def _translated_macs(trace):
    """Return the lookups of a translation's own address that a packet meets in switches."""
    found = (s.flow.match for s in trace.steps() if s.flow is not None and s.stage == "ls_in_l2_lkup")
    return {match for match in found if match.startswith("eth.dst == 00:00:00:bb:") and "is_chassis_resident" in match}


class Ask(NamedTuple):
    """What ovn-trace is to be asked, and what the answer is held against."""

    what: object  # the question, as a failure shows it
    questions: dict[str, Question]
    own: dict[str, list[str]]
    reason: str  # why ovn-trace is compared with itself alone, if so
    excuse: str  # why it may say something else than ours, if it does


class Bout:
    """The packets of one topology, asked everywhere: `settle` asks ovn-trace, in one go, what the others came to."""

    def __init__(self, world, networks, counts, *, original: bool, sources=()) -> None:
        self.world, self.networks, self.counts, self.original = world, networks, counts, original
        self.sources = frozenset(sources)  # addresses that only snat uses
        self.choices = {whose: Choices() for whose in WHOSE}
        self.parsed: dict[tuple[str, str, str], Any] = {}
        self.asked: list[Ask] = []
        bindings = networks["ours"].store.table(sb.PortBinding)
        self.external = {row.logical_port for row in bindings if row.type == "external"}

    def recorders(self) -> dict[str, Recorder]:
        return {whose: Recorder(self.networks[whose], self.choices[whose]) for whose in WHOSE}

    def trace(self, whose, tracer, datapath, microflow, states=()):
        key = whose, datapath, microflow
        if key not in self.parsed:
            start = self.networks[whose].start(datapath, microflow)
            self.parsed[key] = start, parse_microflow(microflow, start.bindings)
        start, packet = self.parsed[key]
        return tracer.trace_packet(start, packet.copy(), microflow, [flags(words) for words in states])

    def followed(self, datapath, microflow) -> None:
        """A new packet and its reply, each with the connection states that our trace follows."""
        self.counts["packets"] += 1
        tracers = self.recorders()
        traces = {whose: self.trace(whose, tracers[whose], datapath, microflow) for whose in WHOSE}
        self.agree(datapath, microflow, tracers, traces)
        try:
            replies = {whose: tracers[whose].reply(traces[whose]) for whose in WHOSE}
        except NoReplyError:
            return
        delivery = traces["ours"].deliveries[0]
        if delivery.datapath.name == datapath and replies["ours"].microflow == replies["theirs"].microflow:
            self.counts["replies"] += 1
            self.agree(datapath, replies["ours"].microflow, tracers, replies)

    def agree(self, datapath, microflow, tracers, traces) -> None:
        reason = "what is remembered" if any(tracer.remembered for tracer in tracers.values()) else ""
        self.ask(datapath, microflow, tracers, traces, microflow, reason)
        tied = any(tracer.tied for tracer in tracers.values())
        for tracer in tracers.values():
            tracer.start_again()
        assert tied or self.answered(traces["ours"]) or fate(traces["ours"]) == fate(traces["theirs"]), microflow

    def every(self, datapath, microflow) -> None:
        """A packet with every connection state out of the air, and every other one from the second time on."""
        for first in STATES:
            met = self.forced(datapath, microflow, [first] * ENOUGH)
            if not met:
                return  # whatever connection tracking would say, nobody asks it
            for later in STATES if met > 1 else ():
                if later != first:
                    self.forced(datapath, microflow, [first] + [later] * ENOUGH)

    def forced(self, datapath, microflow, states) -> int:
        """A packet with connection states out of the air; return how many it met."""
        tracers = self.recorders()
        traces = {whose: self.trace(whose, tracers[whose], datapath, microflow, states) for whose in WHOSE}
        if len(set(states)) > 1 and any("multicast" in step.text for step in traces["ours"].steps()):
            # which copy comes first is anybody's guess
            return 0 if EVERY else self.forced(datapath, microflow, states[:1] * ENOUGH)
        self.ask(datapath, microflow, tracers, traces, (microflow, states[:3]), "", states[-1])
        return max(len(tracer.states) for tracer in tracers.values())

    def ask(self, datapath, microflow, tracers, traces, what, reason, later="") -> None:
        """Compare what our trace says; note down what ovn-trace is to be asked."""
        self.counts["compared"] += 1
        if any(tracer.tied for tracer in tracers.values()):
            self.counts["not compared: two flows of one priority"] += 1
            return
        own = {whose: sorted(traces[whose].outputs) for whose in WHOSE}
        self.counts["delivered" if any(own.values()) else "dropped"] += 1
        if self.answered(traces["ours"]):
            self.counts["on ours alone: an address that only snat uses"] += 1
            del own["theirs"]
        if DIRECTORY and (_translated_macs(traces["theirs"]) - _translated_macs(traces["ours"])):
            self.counts["not compared: an address of a translation behind a port with addresses of its own"] += 1
            return
        if DIRECTORY:
            own = {whose: [name for name in names if name not in self.external] for whose, names in own.items()}
        # Flows of a newer northd output a packet whose next hop is asked for, besides the request; see `judge`.
        distinct = {whose: sorted(set(arrived)) if DIRECTORY else arrived for whose, arrived in own.items()}
        assert distinct.get("theirs", distinct["ours"]) == distinct["ours"], (what, own)
        states = {whose: tracers[whose].states for whose in own}
        if unable := self.unable(traces["ours"], states["ours"]):
            self.counts[f"ovn-trace not asked: {unable}"] += 1
            return
        reason = reason or self.differs(traces["ours"])
        excuse = ""
        if not reason and carries(traces["ours"].root):
            excuse = "a state carried over"
        elif not reason and len(set(states["ours"])) > 1 and adds_state(traces["ours"].root):
            excuse = "a state added to another"
        elif not reason and {step.text.partition("(")[0] for step in traces["ours"].steps()} >= SHARED:
            excuse = "a register left to the next copy"
        elif not reason and tracers["ours"].untranslated:
            excuse = "an error of no connection, which is not translated"
        elif not reason and tracers["ours"].comes_back:
            excuse = "a backend at any port that is its own client"
        elif not reason and any(_balances(step) for step in traces["ours"].steps()):
            excuse = "a router's load balancer, before which ovn-trace finds what it likes"
        elif not reason and any("time to live has expired" in step.text for step in traces["ours"].drops()):
            excuse = "a time to live that ovn-trace counts down to 0, where the switch drops the packet"
        translated = any(step.text.startswith(TRANSLATIONS) for step in traces["ours"].steps())
        questions = {
            whose: Question(datapath, microflow, tuple(states[whose]), later, bool(reason or excuse), translated)
            for whose in own
        }
        met = {whose: sorted((Counter(own[whose]) - Counter(tracers[whose].redirected)).elements()) for whose in own}
        self.asked.append(Ask(what, questions, met, reason, excuse))

    def settle(self) -> None:
        """Ask ovn-trace all that was noted down, and compare; where it differs from the wire, with itself alone."""
        found: list[dict[str, str | None]] = [{} for _ in self.asked]
        for whose in WHOSE:
            both = [
                (a, ask.questions[whose]) for a, ask in zip(found, self.asked, strict=True) if whose in ask.questions
            ]
            texts = self.world.ovn_traces(whose, [question for _, question in both])
            for (answers, _), text in zip(both, texts, strict=True):
                answers[whose] = text
        for ask, answers in zip(self.asked, found, strict=True):
            self.judge(ask, answers)
        self.asked = []

    def judge(self, ask: Ask, found: dict[str, str | None]) -> None:
        if None in found.values():
            self.counts["ovn-trace not asked: gave up"] += 1
            return
        original = {whose: sorted(_OUTPUT.findall(text or "")) for whose, text in found.items()}
        if DIRECTORY:  # a newer ovn-trace says where a packet whose next hop is asked for will go, besides the request
            original = {whose: sorted(set(arrived) - self.external) for whose, arrived in original.items()}
            ask = ask._replace(own={whose: sorted(set(arrived)) for whose, arrived in ask.own.items()})
        reason = ask.reason or (ask.excuse if original != ask.own else "")
        alike = original.get("theirs", original["ours"]) == original["ours"]
        alike |= bool(DIRECTORY) and reason == "a solicitation"
        apart = not alike or (original != ask.own and not reason)
        if apart and reason in ANSWERED_EACH:
            self.counts[f"ovn-trace not asked: {reason}"] += 1
            return
        assert alike, (ask.what, ask.own, original, ask.questions)
        self.counts[f"ovn-trace by itself: {reason}" if reason else "ovn-trace and ours"] += 1
        assert reason or original == ask.own, (ask.what, ask.own, original, ask.questions)

    def answered(self, trace) -> bool:
        """Say whether a router hears there, on our Southbound, that it is asked for an address that only snat uses."""
        asked = (s.flow.match for s in trace.steps() if s.kind is StepKind.FLOW and s.stage == "ls_in_l2_lkup")
        return any(match.rpartition(" == ")[2] in self.sources and "flags[1]" in match for match in asked)

    def unable(self, trace, states) -> str:
        """Say why ovn-trace cannot follow a packet, if so."""
        texts = {step.text for step in trace.steps()}
        if any("is in a loop" in step.text for step in trace.drops()):
            return "a circle"
        if any("put_nd_ra_opts" in text or text.startswith("nd_na_router") for text in texts):
            return "falls over"
        if DIRECTORY and (not texts.isdisjoint(ASKING) or "nd_ns" in trace.microflow):
            return "of a newer release, which sends what waits for its next hop, and floods solicitations by unicast"
        # Copies are traced in an order of ovn-trace's own, so that different states would go to other copies.
        copies = any(text.startswith(("clone", "multicast")) for text in texts)
        return "copies in different states" if copies and len(set(states)) > 1 else ""

    def differs(self, trace) -> str:
        """Say why a packet fares otherwise on the wire than ovn-trace says, if so."""
        if not self.original or "ip6.src == :: " in trace.microflow:
            return "port security"
        unchecked = any(sign in trace.microflow for sign in UNCHECKED)
        if unchecked and any("the port security" in verdict for verdict in trace.verdicts()):
            return UNSEEN if any(sign in trace.microflow for sign in ALIEN) else "port security"
        texts = {step.text for step in trace.steps()}
        if "nd_ns { ... }" in texts:
            return "a solicitation"
        if not REFUSALS.isdisjoint(texts) and ("tcp.dst" in trace.microflow or "sctp.dst" in trace.microflow):
            return "a refusal"
        if any("is not an IP packet" in step.text for step in trace.drops()):
            return "a refusal of what is not of IP"
        if any("is itself a refusal" in step.text for step in trace.drops()):
            return "a refusal"
        return "a source given back" if not {"ct_snat;", "ct_snat_in_czone;"}.isdisjoint(texts) else ""
