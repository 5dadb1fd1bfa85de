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
- a neighbour solicitation of a router keeps the hop limit of the packet that caused it.

What goes round in circles, and what makes it fall over (router advertisements and solicitations for routers), it is
not asked.
"""

from __future__ import annotations

import re

from verify_world import WHOSE

from ovenbird.logical.registers import STATELESS
from ovenbird.verify.conntrack import format_state
from ovenbird.verify.errors import NoReplyError
from ovenbird.verify.packets import headers
from ovenbird.verify.steps import Kind
from ovenbird.verify.trace import Tracer

STATES = ("new", "est", "est,rpl", "rel", "rel,rpl", "inv", "new,rel")
ENOUGH = 16
"""More connection states than one packet meets ct_next."""

UNCHECKED = ("eth.type == 0x88cc", "eth.type == 0x8035", "ip.ttl == 64 && ip6.dst == ff02::1:ff")
"""Packets whose port security ovn-trace does not check: neither ARP nor IP, or solicitations of a wrong hop limit."""

REFUSALS = {"icmp4_error { ... }", "icmp6_error { ... }", "reject { ... }", "tcp_reset { ... }", "sctp_abort { ... }"}

SHARED = {"multicast", f"{STATELESS} = 1;"}
"""A copy that a stateless ACL keeps from being tracked finds there what the copy before it was told: to be tracked."""

_OUTPUT = re.compile(r'output\("([^"]+)"\)')


class Recorder(Tracer):
    """Writes down what connection tracking says; learns no MAC addresses, as ovn-trace."""

    def __init__(self, network) -> None:
        super().__init__(network)
        self.states: list[str] = []
        self.remembered = False  # whether what an earlier packet left behind decided: a mark, or a translation

    def learn_forwarding(self, mac, port) -> None:
        pass

    def track(self, zone, translation=None) -> None:
        before = headers(self.packet)
        super().track(zone, translation)
        self.remembered |= bool(self.packet["ct_mark"] or self.packet["ct_label"]) or headers(self.packet) != before
        if translation is None:
            self.states.append(format_state(self.packet["ct_state"]).replace("|", ","))

    def start_again(self) -> None:
        self.states, self.remembered = [], False


def fate(trace):
    """What a packet meets, apart from names of flows and registers.

    A tagged frame from a disabled port meets two flows of one priority, one in each stage of port security. Debian's
    northd knows the addresses that a router translates in every switch around it, ours where their networks are: what
    goes to a router here may go to nobody or to everybody there, and to no more effect; so how many copies of a packet
    a stage drops is not counted.
    """
    drops = [step for step in trace.drops() if "has no ports" not in step.text and not _in_vain(step)]
    arrived = sorted((d.port.logical_port, tuple(sorted(headers(d.packet).items()))) for d in trace.deliveries)
    stages = [step.stage.replace("_in_check_", "_in_apply_") for step in drops]
    copied = any("multicast" in step.text for step in trace.steps())
    return arrived, sorted(set(stages) if copied else stages)


def _in_vain(step):
    """Return whether a drop is that of a router which takes no notice of a packet."""
    return step.stage == "lr_in_admission" or (step.flow is not None and step.flow.match == "arp || nd")


def carries(step, tracked=False):
    """Return whether a packet goes from one datapath to another after it was tracked."""
    if step.kind is Kind.BLOCK and step.text.startswith("ingress(") and tracked:
        return True
    tracked |= step.kind is Kind.BLOCK and step.text.startswith("ct_")
    return any(carries(each, tracked) for each in step.steps)


class Bout:
    """One packet of one topology, asked everywhere."""

    def __init__(self, world, networks, counts, *, original: bool) -> None:
        self.world, self.networks, self.counts, self.original = world, networks, counts, original

    def followed(self, datapath, microflow) -> None:
        """A new packet and its reply, each with the connection states that our trace follows."""
        tracers = {whose: Recorder(self.networks[whose]) for whose in WHOSE}
        traces = {whose: tracers[whose].trace(datapath, microflow) for whose in WHOSE}
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
        for tracer in tracers.values():
            tracer.start_again()
        assert fate(traces["ours"]) == fate(traces["theirs"]), microflow

    def forced(self, datapath, microflow, states) -> None:
        """A packet with connection states out of the air."""
        tracers = {whose: Recorder(self.networks[whose]) for whose in WHOSE}
        traces = {whose: tracers[whose].trace(datapath, microflow, states) for whose in WHOSE}
        if any("multicast" in step.text for step in traces["ours"].steps()) and len(set(states)) > 1:
            self.forced(datapath, microflow, states[:1] * ENOUGH)  # which copy comes first is anybody's guess
            return
        self.ask(datapath, microflow, tracers, traces, (microflow, states[:3]), "")

    def ask(self, datapath, microflow, tracers, traces, question, reason) -> None:
        """Compare what everybody says; where ovn-trace differs from the wire, only what it says of both."""
        self.counts["compared"] += 1
        own = {whose: sorted(traces[whose].outputs) for whose in WHOSE}
        self.counts["delivered" if any(own.values()) else "dropped"] += 1
        assert own["theirs"] == own["ours"], (question, own)
        states = {whose: tracers[whose].states for whose in WHOSE}
        if unable := self.unable(traces["ours"], states["ours"]):
            self.counts[f"ovn-trace not asked: {unable}"] += 1
            return
        found = self.world.ovn_traces(datapath, microflow, states)
        if None in found.values():
            self.counts["ovn-trace not asked: gave up"] += 1
            return
        original = {whose: sorted(_OUTPUT.findall(text)) for whose, text in found.items()}
        reason = reason or self.differs(traces["ours"])
        if not reason and original != own and carries(traces["ours"].root):
            reason = "a state carried over"
        if (
            not reason
            and original != own
            and {step.text.partition("(")[0] for step in traces["ours"].steps()} >= SHARED
        ):
            reason = "a register left to the next copy"
        apart = original["theirs"] != original["ours"] or (original != own and not reason)
        if apart and reason == "a refusal of what is not of IP":  # it answers each copy, of which there may be more
            self.counts[f"ovn-trace not asked: {reason}"] += 1
            return
        assert original["theirs"] == original["ours"], (question, own, original)
        self.counts[f"ovn-trace by itself: {reason}" if reason else "ovn-trace and ours"] += 1
        assert reason or original == own, (question, own, original)

    def unable(self, trace, states) -> str:
        """Say why ovn-trace cannot follow a packet, if so."""
        texts = {step.text for step in trace.steps()}
        if any("goes round in circles" in step.text for step in trace.drops()):
            return "a circle"
        if any("put_nd_ra_opts" in text or text.startswith("nd_na_router") for text in texts):
            return "falls over"
        # Copies are traced in an order of ovn-trace's own, so that different states would go to other copies.
        copies = any(text.startswith(("clone", "multicast")) for text in texts)
        return "copies in different states" if copies and len(set(states)) > 1 else ""

    def differs(self, trace) -> str:
        """Say why a packet fares otherwise on the wire than ovn-trace says, if so."""
        if not self.original or "ip6.src == :: " in trace.microflow:
            return "port security"
        unchecked = any(sign in trace.microflow for sign in UNCHECKED)
        if unchecked and any("the port security" in verdict for verdict in trace.verdicts()):
            return "port security"
        texts = {step.text for step in trace.steps()}
        if "nd_ns { ... }" in texts:
            return "a solicitation"
        if not REFUSALS.isdisjoint(texts) and ("tcp.dst" in trace.microflow or "sctp.dst" in trace.microflow):
            return "a refusal"
        if any("is not of IP" in step.text for step in trace.drops()):
            return "a refusal of what is not of IP"
        if any("is itself a refusal" in step.text for step in trace.drops()):
            return "a refusal"
        return "a source given back" if not {"ct_snat;", "ct_snat_in_czone;"}.isdisjoint(texts) else ""
