"""Packets are sampled by the ACL that they match, or that their connection is labelled by."""

import re

import pytest

from ovenbird.model import nb
from support.northd import tiered_acls
from support.verify.traced import Traced

REPLY = (
    'inport == "p2" && eth.src == 00:00:00:00:00:02 && eth.dst == 00:00:00:00:00:01 && ip4.src == 10.0.0.2 && '
    "ip4.dst == 10.0.0.1 && ip.ttl == 64 && tcp.src == 80 && tcp.dst == 5000"
)


@pytest.fixture
def sampled():
    made = Traced()
    made.insert(nb.NBGlobal)
    switch = made.switch("s0")
    for n in (1, 2):
        made.port(switch, f"p{n}", f"00:00:00:00:00:0{n} 10.0.0.{n}")
    made.insert(nb.SamplingApp, type="acl-new", id=42)
    made.insert(nb.SamplingApp, type="acl-est", id=43)
    made.collector = made.insert(nb.SampleCollector, id=1, name="c", set_id=100, probability=65_535)
    made.permit = made.acl(switch, "to-lport", "tcp.dst == 80", "allow-related", 2)
    made.refuse = made.acl(switch, "to-lport", "tcp", "drop", 1)
    for column, acl, number in (("sample_new", made.permit, 1), ("sample_est", made.permit, 2),
                                ("sample_new", made.refuse, 3)):  # fmt: skip
        values = {"collectors": frozenset([made.collector.uuid]), "metadata": number}
        made.insert(nb.Sample, (acl, column), **values)
    return made


def samples(tracer, microflow, states=()):
    """Return domain and point of each sample that a packet leaves."""
    steps = (step.text for step in tracer.trace("s0", microflow, list(states)).steps())
    found = (re.search(r"^sample\(.*obs_domain=(\d+),obs_point=(\d+)\)", text) for text in steps)
    return [(int(each[1]), int(each[2])) for each in found if each]


def test_new_and_established_connections_and_replies(sampled):
    tracer = sampled.tracer()
    assert samples(tracer, tiered_acls.microflow(80)) == [(42, 1)]
    assert samples(tracer, tiered_acls.microflow(80), ["est"] * 2) == [(43, 2)]
    assert samples(tracer, REPLY) == [(43, 2)]
    assert samples(tracer, tiered_acls.microflow(81)) == [(42, 3)]


def test_a_label_is_the_observation_point(sampled):
    txn = sampled.nb.transaction()
    txn.update(sampled.permit, {"label": 9})
    txn.commit()
    tracer = sampled.tracer()
    assert [samples(tracer, each) for each in (tiered_acls.microflow(80), REPLY)] == [[(42, 9)], [(43, 9)]]


def test_the_application_of_drops_has_a_number(sampled):
    sampled.insert(nb.SamplingApp, type="drop", id=44)
    txn = sampled.nb.transaction()
    settings = next(iter(sampled.nb.store.table(nb.NBGlobal).rows.values()))
    txn.update(settings, {"options": {"debug_drop_collector_set": "7"}})
    txn.commit()
    microflow = tiered_acls.microflow(80).replace("eth.src == 00:", "vlan.present && eth.src == 00:")
    steps = sampled.tracer().trace("s0", microflow).steps()
    assert any("collector_set=7,obs_domain=44,obs_point=$cookie" in step.text for step in steps)
