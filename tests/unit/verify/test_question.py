import pytest

from ovenbird.verify.errors import AmbiguousPortError, UnknownPortError, VerifyError
from ovenbird.verify.question import Protocol, Question, microflow


@pytest.fixture
def network(two):
    return two.tracer().network


@pytest.mark.parametrize("target", ["p2", "web", "10.0.0.2", "0a:00:00:00:00:02"])
def test_tcp_by_any_name(network, target):
    start, text = microflow(network, Question("10.0.0.1", target, Protocol.TCP, 22))
    assert start.name == "sw0"
    assert text == (
        'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && '
        "ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && ip.ttl == 64 && tcp.src == 49152 && tcp.dst == 22"
    )


@pytest.mark.parametrize(
    ("question", "outputs"),
    [
        (Question("p1", "p2", Protocol.TCP, 22), ["p2"]),
        (Question("p1", "p2", Protocol.UDP, 22), []),
        (Question("p1", "p2"), []),
        (Question("web", "p1"), ["p1"]),
        (Question("p1", "web", Protocol.ARP), ["p1"]),
        (Question("web", protocol=Protocol.DHCP), ["p1"]),
    ],
)
def test_questions_are_traced(two, question, outputs):
    tracer = two.tracer()
    start, text = microflow(tracer.network, question)
    assert tracer.trace(start.uuid, text).outputs == outputs


def test_what_cannot_be_asked(two, traced):
    other = traced.switch("sw1")
    traced.port(other, "q1", "0a:00:00:00:00:03 10.0.0.1")
    traced.port(other, "q2", "unknown")
    network = two.tracer().network
    with pytest.raises(AmbiguousPortError, match=r"2 logical ports have the name or address 10\.0\.0\.1"):
        microflow(network, Question("10.0.0.1", "p2"))
    assert microflow(network, Question("10.0.0.1", "10.0.0.2"), "sw0")[0].name == "sw0"
    with pytest.raises(UnknownPortError, match="name or address nobody"):
        microflow(network, Question("nobody", "p2"))
    with pytest.raises(UnknownPortError, match=r"no port with the address 8.8.8.8, and no router"):
        microflow(network, Question("p1", "8.8.8.8"))
    with pytest.raises(VerifyError, match="no addresses of one IP version"):
        microflow(network, Question("web", "fd00::1"))
    with pytest.raises(VerifyError, match="no address of its own"):
        microflow(network, Question("q2", "q1"))
    with pytest.raises(VerifyError, match="to whom"):
        microflow(network, Question("p1"))


def test_beyond_the_switch_packets_go_to_its_router(traced):
    inside = {"sw-r": (1, "patch", {"peer": "r-sw"}), "p1": (2, "", {})}
    datapath = traced.datapath("sw", 1, **inside)
    traced.datapath("r", 2, **{"r-sw": (1, "patch", {"peer": "sw-r"})})
    addresses = {"r-sw": "0a:00:00:00:00:ff 10.0.0.254/24", "p1": "0a:00:00:00:00:01 10.0.0.1"}
    for port in list(traced.sb.store.tables["Port_Binding"].rows.values()):
        if port.logical_port in addresses:
            txn = traced.sb.transaction()
            txn.update(port, {"mac": frozenset([addresses[port.logical_port]])})
            txn.commit()
    start, text = microflow(traced.by_hand().network, Question("p1", "8.8.8.8"))
    assert start.uuid == datapath.uuid
    assert "eth.dst == 0a:00:00:00:00:ff && ip4.src == 10.0.0.1 && ip4.dst == 8.8.8.8" in text


def test_a_blank_entry_is_no_address(two, traced):
    switch = traced.switch("sw1")
    traced.port(switch, "p8", "", "0a:00:00:00:00:08 10.0.1.8")
    traced.port(switch, "p9", "0a:00:00:00:00:09 10.0.1.9")
    _, text = microflow(two.tracer().network, Question("p8", "p9"))
    assert "eth.src == 0a:00:00:00:00:08" in text
