"""Four answers to what happens to a packet: ovn-trace and our own trace, each on Debian's Southbound and on ours.

All four must agree on every output, and our two on every header and on the stages that drop. What ovn-trace is not
asked, because it knows less than the wire:

- what connection tracking said is handed to it from our trace, which follows connections; of marks it cannot be told;
- port security that names a whole network: it takes the network's own address to be meant, other than ovn-nb(5) says
  and ovn-controller does; nor does it let a host without an IPv6 address yet speak; and it lets out what is neither ARP
  nor IP, and neighbour solicitations with a wrong hop limit;
- a TCP or SCTP packet that is rejected: its resets keep the ports as they were; and an ARP packet that is rejected: it
  is answered by ICMP.
"""

import os
import random
import re
from collections import Counter

import pytest
import verify_topology
from verify_world import WHOSE

from ovenbird.lang.microflow import parse_microflow
from ovenbird.verify.conntrack import format_state
from ovenbird.verify.errors import NoReplyError
from ovenbird.verify.packets import describe, headers
from ovenbird.verify.steps import Kind
from ovenbird.verify.trace import Tracer

PACKETS = int(os.environ.get("OVENBIRD_PACKETS", "30"))
SEEDS = int(os.environ.get("OVENBIRD_SEEDS", "30"))
FIRST = int(os.environ.get("OVENBIRD_FIRST_SEED", "0"))
STATES = ("new", "est", "est,rpl", "rel", "rel,rpl", "inv", "new,rel")
ENOUGH = 16
"""More connection states than one packet meets ct_next."""

UNCHECKED = ("eth.type == 0x88cc", "eth.type == 0x8035", "ip.ttl == 64 && ip6.dst == ff02::1:ff")
"""Packets whose port security ovn-trace does not check: neither ARP nor IP, or solicitations of a wrong hop limit."""

_OUTPUT = re.compile(r'output\("([^"]+)"\)')


class Recorder(Tracer):
    """Writes down what connection tracking says; learns no MAC addresses, as ovn-trace."""

    def __init__(self, network) -> None:
        super().__init__(network)
        self.states: list[str] = []
        self.marked = False

    def learn_forwarding(self, mac, port) -> None:
        pass

    def track(self, zone, translation=None) -> None:
        super().track(zone, translation)
        self.states.append(format_state(self.packet["ct_state"]).replace("|", ","))
        self.marked |= bool(self.packet["ct_mark"] or self.packet["ct_label"])


def fate(trace):
    """What a packet meets, apart from names of flows and registers.

    A tagged frame from a disabled port meets two flows of one priority, one in each stage of port security.
    """
    arrived = sorted((d.port.logical_port, tuple(sorted(headers(d.packet).items()))) for d in trace.deliveries)
    return arrived, sorted(step.stage.replace("_in_check_", "_in_apply_") for step in trace.drops())


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
        answers = {("our trace", whose): sorted(traces[whose].outputs) for whose in WHOSE}
        if not self.asked(traces["ours"], tracers["ours"].states) or any(tracer.marked for tracer in tracers.values()):
            self.counts["ovn-trace not asked"] += 1
        else:
            answers |= self.originals(datapath, microflow, {whose: tracers[whose].states for whose in WHOSE})
        for tracer in tracers.values():
            tracer.states, tracer.marked = [], False
        self.same(answers, microflow)
        assert fate(traces["ours"]) == fate(traces["theirs"]), microflow

    def forced(self, datapath, microflow, states) -> None:
        """A packet with connection states out of the air."""
        tracers = {whose: Recorder(self.networks[whose]) for whose in WHOSE}
        traces = {whose: tracers[whose].trace(datapath, microflow, states) for whose in WHOSE}
        if any("multicast" in step.text for step in traces["ours"].steps()) and len(set(states)) > 1:
            self.forced(datapath, microflow, states[:1] * ENOUGH)  # which copy comes first is anybody's guess
            return
        answers = {("our trace", whose): sorted(traces[whose].outputs) for whose in WHOSE}
        if self.asked(traces["ours"], tracers["ours"].states):
            answers |= self.originals(datapath, microflow, {whose: tracers[whose].states for whose in WHOSE})
        self.same(answers, (microflow, states))

    def asked(self, trace, states) -> bool:
        """Say whether ovn-trace knows how such a packet fares."""
        if not self.original or "ip6.src == :: " in trace.microflow:
            return False
        blocks = {step.text.partition("(")[0] for step in trace.steps() if step.kind is Kind.BLOCK}
        if "reject { ... }" in blocks and ("tcp.dst" in trace.microflow or "sctp.dst" in trace.microflow):
            return False
        if any("the packet is not of IP" in step.text for step in trace.drops()):
            return False
        if any(sign in trace.microflow for sign in UNCHECKED):
            return not any("the port security" in verdict for verdict in trace.verdicts())
        # Copies are traced in an order of ovn-trace's own, so that different states would go to other copies.
        return "multicast" not in blocks or len(set(states)) <= 1

    def originals(self, datapath, microflow, states) -> dict:
        found = self.world.ovn_traces(datapath, microflow, states)
        return {("ovn-trace", whose): sorted(_OUTPUT.findall(text)) for whose, text in found.items()}

    def same(self, answers, question) -> None:
        self.counts["compared"] += 1
        self.counts["delivered" if any(answers.values()) else "dropped"] += 1
        assert len({tuple(answer) for answer in answers.values()}) == 1, (question, answers)


@pytest.fixture(scope="module")
def counts():
    return Counter()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_packets_fare_the_same_by_every_account(world, counts, seed):
    dice = random.Random(seed)
    made = verify_topology.make(dice)
    world.build(made.commands)
    bout = Bout(world, {whose: world.network(whose) for whose in WHOSE}, counts, original=not made.whole_networks)
    for _ in range(PACKETS):
        datapath, microflow = verify_topology.packet(dice, made.ports)
        bout.followed(datapath, microflow)
        first, second = dice.choice(STATES), dice.choice(STATES)
        bout.forced(datapath, microflow, [first] + [second] * ENOUGH)


def test_that_some_arrived_and_some_did_not(counts):
    """Run after the others, over all their packets: a comparison of nothing with nothing shows nothing."""
    assert counts["delivered"] > counts["compared"] // 10
    assert counts["dropped"] > counts["compared"] // 10
    assert counts["replies"] > counts["compared"] // 50
    print(dict(counts))  # noqa: T201 - the figures of a long run, shown by -s


def test_a_packet_in_words_is_the_packet(world):
    """What describes a packet reads back as that packet, ours and theirs."""
    made = verify_topology.make(random.Random(1))
    world.build(made.commands)
    network = world.network("ours")
    dice = random.Random(7)
    for _ in range(50):
        datapath, microflow = verify_topology.packet(dice, made.ports)
        start = network.datapath(datapath)
        packet = parse_microflow(microflow, start.bindings)
        again = describe(packet, start.port_name(packet["reg14"]))
        assert headers(parse_microflow(again, start.bindings)) == headers(packet)
