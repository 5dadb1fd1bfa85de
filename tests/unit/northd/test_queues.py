"""Queues of ports: a number is a port's own where it is, and stays its own."""

from ovenbird.engine.ids import Pool
from ovenbird.model import nb, sb
from ovenbird.northd.ir import queues
from support.northd.networks import Networks


def chassis(made, name):
    txn = made.sb.transaction()
    encap = txn.insert(sb.Encap, {"type": "geneve", "ip": f"127.0.0.{name[-1]}", "chassis_name": name})
    uuid = txn.insert(sb.Chassis, {"name": name, "encaps": frozenset([encap])})
    txn.commit()
    return uuid


def binding(made, name):
    return made.sb.store.find(sb.PortBinding.logical_port, name)


def queue(made, name):
    return binding(made, name).options.get("qdisc_queue_id")


def test_queues():
    made = Networks()
    switch = made.switch("s")
    places = {name: chassis(made, name) for name in ("hv1", "hv2")}
    for name in ("a", "b", "c", "d"):
        made.port(switch, name, options={"qos_max_rate": "1000"})
    made.port(switch, "wire", "unknown", type="localnet", options={"network_name": "p", "qos_burst": "5"})
    made.settle()
    assert not any(queue(made, name) for name in "abcd")
    assert queue(made, "wire")
    for name, place in (("a", "hv1"), ("b", "hv1"), ("c", "hv2")):
        made.update(binding(made, name), chassis=places[place])
    made.settle()
    assert len({queue(made, name) for name in ("a", "b", "wire")}) == 3
    assert queue(made, "d") is None
    before = {name: queue(made, name) for name in ("a", "b", "c", "wire")}
    again = Networks(made.nb, made.sb)
    again.settle()
    assert {name: queue(again, name) for name in before} == before
    made = again
    made.update(binding(made, "c"), chassis=places["hv1"])  # the queue that it had is another's there
    made.settle()
    assert len({queue(made, name) for name in ("a", "b", "c", "wire")}) == 4
    assert all(queue(made, name) == before[name] for name in ("a", "b", "wire"))
    made.update(made.nb.store.find(nb.LogicalSwitchPort.name, "d"), options={"qdisc_queue_id": queue(made, "a")})
    made.settle()
    assert queue(made, "d") == queue(made, "a"), "what the cloud asks for it gets"
    made.update(made.nb.store.find(nb.LogicalSwitchPort.name, "a"), options={})
    made.settle()
    assert queue(made, "a") is None


def test_a_port_for_which_no_queue_is_left_waits_for_one_and_is_there(monkeypatch):
    monkeypatch.setattr(queues, "LOCALNET_QUEUES", Pool("queue", 40_000, 40_000))
    made = Networks()
    switch = made.switch("s")
    ports = [
        made.port(switch, name, "unknown", type="localnet", options={"network_name": name, "qos_max_rate": "1"})
        for name in ("x", "y")
    ]
    made.settle()
    assert sorted(map(str, (queue(made, "x"), queue(made, "y")))) == ["40000", "None"]
    for port in ports:
        if queue(made, port.name):
            made.mutate(switch, "ports", delete=[port])
            break
    made.settle()
    assert [row.options["qdisc_queue_id"] for row in made.rows(sb.PortBinding)] == ["40000"]
