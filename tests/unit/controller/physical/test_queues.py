"""Queues of the physical interfaces, and meters that rules of QoS have."""

from __future__ import annotations

import pytest

from ovenbird.controller.edits import EDIT
from ovenbird.controller.facts import METER, NOTICE
from ovenbird.controller.physical.queues import DROP_QOS, DROP_QUEUE, NEW_QOS, NEW_QUEUE
from ovenbird.model import vswitch
from ovenbird.openflow.actions import Meter
from ovenbird.openflow.instructions import decode_instructions
from support.controller.world import World

KINDS = (NEW_QOS, NEW_QUEUE, DROP_QUEUE, DROP_QOS)


@pytest.fixture
def net():
    """Make a chassis with a port that has a queue, and an interface that leads out, which is not labelled yet."""
    world = World()
    world.facts |= {kind: set() for kind in (*KINDS, NOTICE, METER)}
    world.datapath = world.switch(7)
    options = {"qos_max_rate": "1000", "qos_burst": "20", "qdisc_queue_id": "3"}
    world.vm = world.lport(world.datapath, "vm", 1, chassis=world.me.uuid, options=options)
    world.lport(world.datapath, "elsewhere", 2, chassis=world.other.uuid, options=options)
    world.port_on_bridge("tap1", 5, iface_id="vm")
    world.nic = world.port_on_bridge("eth0", 6)
    world.run()
    return world


def label(net, value="true"):
    net.set(net.nic, external_ids={"ovn-egress-iface": value})
    net.run()


def discipline(net, queues, **ids):
    """Give the interface's port queues, as the switch's database has them then."""
    made = {number: net.add(vswitch.Queue, other_config=config, external_ids={"ovn_port": port}).uuid
            for number, (port, config) in queues.items()}  # fmt: skip
    qos = net.add(vswitch.QoS, type="linux-htb", queues=made, external_ids=ids)
    net.set(port(net), qos=qos.uuid)
    net.run()
    return qos


def port(net):
    return net.vs.find(vswitch.Port.name, "eth0")


def wanted(net):
    return {kind.name: len(net.facts[kind]) for kind in KINDS if net.facts[kind]}


def test_queues_are_made_where_packets_leave(net):
    assert not wanted(net)
    label(net)
    ((_, there, queues),) = net.facts[NEW_QOS]
    assert there == port(net).uuid
    assert queues == ((3, ("vm", (("burst", "20"), ("max-rate", "1000")))),)
    discipline(net, {3: ("vm", {"burst": "20", "max-rate": "1000"})}, ovn_qos="true")
    assert not wanted(net)
    label(net, "false")
    assert wanted(net) == {"queues to remove": 1}


def test_queues_follow_ports(net):
    label(net)
    qos = discipline(net, {3: ("vm", {"burst": "20", "max-rate": "7"}), 4: ("gone", {})}, ovn_qos="true")
    assert wanted(net) == {"queue to remove": 1}
    (edit,) = [fact for fact in net.facts[EDIT] if fact.row_class is vswitch.Queue]
    assert edit.changes == (("other_config", (("burst", "20"), ("max-rate", "1000"))),)
    net.lport(net.datapath, "vm2", 4, chassis=net.me.uuid, options={"qos_min_rate": "9", "qdisc_queue_id": "5"})
    net.run()
    ((_, where, number, queue),) = net.facts[NEW_QUEUE]
    assert (where, number, queue.port, queue.config) == (qos.uuid, 5, "vm2", (("min-rate", "9"),))
    net.set(port(net), qos=None)
    net.run()
    assert wanted(net) == {"queues to make": 1, "queues to remove": 1}


def test_qos_of_other_programs_is_kept_except_the_originals_linux_noop(net):
    label(net)
    foreign = discipline(net, {})
    assert not wanted(net)
    assert [fact.text for fact in net.facts[NOTICE]] == [
        "port eth0 has a QoS that is not the controller's: logical ports get no queues there"
    ]
    net.set(foreign, type="linux-noop")
    net.run()
    assert wanted(net) == {"queues to make": 1, "queues to remove": 1}
    assert not net.facts[NOTICE]


def test_an_invalid_rate_is_left_out_with_a_notice(net):
    label(net)
    net.set(net.vm, options={"qos_max_rate": "fast", "qos_burst": "0", "qos_min_rate": "4", "qdisc_queue_id": "3"})
    net.run()
    assert [fact.text for fact in net.facts[NOTICE]] == ["port vm: qos_max_rate=fast is not a number, and is left out"]
    ((_, _, queues),) = net.facts[NEW_QOS]
    assert queues == ((3, ("vm", (("min-rate", "4"),))),)


def test_each_rule_has_a_meter_of_its_own(net):
    rows = [net.flow(net.datapath, match, "set_meter(10, 2); next;", table_id=10) for match in ("ip4", "ip6")]
    net.flow(net.datapath, "tcp", "ip.dscp = 3; set_meter(10); next;", table_id=10)
    net.flow(net.datapath, "udp", "set_meter(1); set_meter(2); next;", table_id=10)
    net.run()
    meters = {fact.number: (fact.unit, fact.bands) for fact in net.facts[METER]}
    assert sorted(meters.values()) == [
        ("kbps", ((1, 0),)),
        ("kbps", ((2, 0),)),
        ("kbps", ((10, 0),)),
        *[("kbps", ((10, 2),))] * 2,
    ]
    used = {}
    for key in net.desired():
        if key[0] == 18:
            (apply,) = decode_instructions(net.table.desired(key)[0])
            for action in apply.actions:
                if isinstance(action, Meter):
                    used[action.meter_id] = apply.actions
    assert used.keys() == meters.keys()
    net.delete(rows[0])
    net.run()
    assert len(net.facts[METER]) == 4


def test_another_port_costs_the_rules_of_its_own_queues(net):
    label(net)
    ran = []
    for number in range(2):
        for each in range(10 * number):
            net.lport(net.datapath, f"more{number}-{each}", 100 * number + each + 10, chassis=net.other.uuid,
                      options={"qos_min_rate": "9", "qdisc_queue_id": str(each + 10)})  # fmt: skip
        net.run()
        net.lport(net.datapath, f"vm-{number}", number + 5, chassis=net.me.uuid,
                  options={"qos_min_rate": "9", "qdisc_queue_id": str(number + 5)})  # fmt: skip
        ran.append(net.run())
    assert ran[0] == ran[1]
