"""Ports on several chassis at once; `tests/live/test_multichassis.py` has the packets."""

from __future__ import annotations

import pytest

from ovenbird.controller.edits import EDIT_AFTER_FLOWS, NOW
from ovenbird.controller.local.additional_chassis import ACTIVATED
from ovenbird.controller.pinctrl import mac_learning
from ovenbird.controller.pinctrl.activation import Activated
from ovenbird.controller.pinctrl.mac_learning import Learned, MacLearning
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.model import sb
from ovenbird.openflow.actions import CheckPktLarger, Controller, Output, Resubmit, StackPop, decode_actions
from ovenbird.ovsdb.database import Database
from support.waiting import until_async

REQUESTED = {"requested-chassis": "hv1,hv2"}
MOVING = {"requested-chassis": "hv2,hv1", "activation-strategy": "rarp"}


def outputs(actions):
    return [action.port for action in actions if isinstance(action, Output)]


@pytest.fixture
def switch(world):
    """A switch with an interface here for its port p1, whose key is 1."""
    world.port_on_bridge("tap1", 5, iface_id="p1")
    return world.switch(7)


def shared(world, switch, **values):
    """Make p1 a port of this chassis and of hv2."""
    both = {"chassis": world.me.uuid, "additional_chassis": frozenset([world.other.uuid]), "options": REQUESTED}
    return world.lport(switch, "p1", 1, **both | values)


def test_packets_to_a_port_are_sent_to_all_its_chassis(world, switch):
    port = shared(world, switch)
    world.run()
    (actions,) = world.flows(39, 100).values()
    assert outputs(actions) == [100]
    assert actions[-1] == Resubmit(40)
    world.set(port, additional_chassis=frozenset())
    world.run()
    assert world.flows(39, 100) == {}


def test_a_port_on_two_others_is_sent_two_copies(world, switch):
    third = world.chassis("hv3", "192.0.2.3")
    world.port_on_bridge("ovn-hv3-0", 101, kind="geneve", port_ids={"ovn-chassis-id": "hv3@192.0.2.3"})
    world.lport(switch, "p1", 1)
    world.lport(switch, "p2", 2, chassis=world.other.uuid, additional_chassis=frozenset([third.uuid]))
    world.run()
    (actions,) = world.flows(39, 100).values()
    assert outputs(actions) == [100, 101]


def test_an_additional_chassis_lets_nothing_through_until_it_has_heard_the_instance(world, switch):
    here = {"chassis": world.other.uuid, "additional_chassis": frozenset([world.me.uuid])}
    port = world.lport(switch, "p1", 1, options=MOVING, **here)
    world.run()
    assert world.flows(0, 1000) == {"in_port_oxm=0x5": ()}
    assert list(world.flows(65, 1000).values()) == [()]
    (heard,) = world.flows(0, 1010).values()
    (told,) = [action for action in heard if isinstance(action, Controller)]
    assert Userdata.decode(told.userdata) == Userdata(Opcode.ACTIVATION_STRATEGY_RARP, None, b"hv1")
    world.set(port, options={**MOVING, ACTIVATED: "hv9,hv1"})
    world.run()
    assert world.flows(0, 1000) == world.flows(0, 1010) == world.flows(65, 1000) == {}


def test_an_additional_chassis_says_that_its_interface_works_and_not_that_the_port_is_up(world, switch):
    here = {"chassis": world.other.uuid, "additional_chassis": frozenset([world.me.uuid])}
    port = world.lport(switch, "p1", 1, options=MOVING, **here)
    world.run()
    (changes,) = world.edits(EDIT_AFTER_FLOWS).values()
    assert changes == {"external_ids": (("ovn-installed", "true"), ("ovn-installed-ts", NOW))}
    assert port.uuid not in world.edits()


def test_is_chassis_resident_holds_on_the_main_chassis_only(world, switch):
    port = shared(world, switch)
    world.flow(switch, 'is_chassis_resident("p1")', "next;")
    world.run()
    assert len(world.flows(8)) == 1
    world.set(port, options={"requested-chassis": "hv2,hv1"})
    world.run()
    assert world.flows(8) == {}


def test_on_a_physical_network_such_a_port_is_reached_by_tunnels(world, switch):
    interface = next(row for row in world.vs.tables["Interface"].rows.values() if row["name"] == "tap1")
    world.set(interface, mtu=1500)
    world.set(world.root, external_ids=world.root["external_ids"] | {"ovn-bridge-mappings": "net1:br-ex"})
    world.lport(switch, "ln", 9, type="localnet", options={"network_name": "net1"})
    world.lport(switch, "p2", 2, chassis=world.other.uuid)
    port = shared(world, switch)
    world.run()
    assert {match: outputs(actions) for match, actions in world.flows(39, 110).items()} == {
        "metadata=0x7,reg14=0x1,reg15=0x2": [100]
    }
    assert outputs(world.flows(39, 100)["metadata=0x7,reg15=0x1"]) == [100]
    limits = {a.pkt_len for actions in world.flows(37, 100).values() for a in actions if isinstance(a, CheckPktLarger)}
    assert limits == {1500 - 58}  # what Geneve over IPv4 adds
    assert len(world.flows(37, 100)) == len(world.flows(38, 100)) == 4
    for actions in world.flows(38, 100).values():  # an answer comes from the port that was addressed
        answer = decode_actions(Userdata.decode(actions[0].userdata).payload)
        popped = [action.dst.field.name for action in answer if isinstance(action, StackPop)]
        assert popped[:2] == ["reg14", "reg15"]
    world.set(port, additional_chassis=frozenset())
    world.run()
    assert world.flows(39, 110) == world.flows(39, 100) == world.flows(37, 100) == world.flows(38, 100) == {}


def test_the_encap_that_an_interface_asks_for_is_among_the_additional_ones(world, switch):
    (encap,) = world.me["encaps"]
    interface = next(row for row in world.vs.tables["Interface"].rows.values() if row["name"] == "tap1")
    world.set(interface, external_ids={"iface-id": "p1", "encap-ip": "192.0.2.1"})
    port = world.lport(switch, "p1", 1, options={"requested-chassis": "hv2,hv1"})
    world.run()
    wanted = {"additional_chassis": ((world.me.uuid, True),), "additional_encap": ((encap, True),)}
    assert world.edits() == {port.uuid: wanted}
    world.set(port, additional_chassis=frozenset([world.me.uuid]), additional_encap=frozenset([encap]))
    world.set(interface, external_ids={"iface-id": "p1"})
    world.run()
    assert world.edits() == {port.uuid: {"additional_encap": ((encap, False),)}}


def test_a_container_is_bound_on_the_chassis_of_its_parent(world, switch):
    """As an additional one, too: two chassis would take it from each other for ever."""
    world.lport(switch, "p1", 1, options=MOVING, chassis=world.other.uuid)
    child = world.lport(switch, "c1", 2, parent_port="p1", tag=5, chassis=world.other.uuid)
    world.run()
    assert world.edits()[child.uuid] == {"additional_chassis": ((world.me.uuid, True),)}
    there = "metadata=0x7,reg15=0x2"
    assert world.flows(65, 1000)[there] == ()  # the instance that it is in has not come yet
    assert list(world.flows(0, 1000).values()) == [()]


def test_flooded_packets_use_one_tunnel_to_each_chassis(world, switch):
    second = world.add(sb.Encap, type="geneve", ip="192.0.2.22", chassis_name="hv2", options={"csum": "true"})
    world.set(world.other, encaps=world.other["encaps"] | {second.uuid})
    world.port_on_bridge("ovn-hv2-1", 102, kind="geneve", port_ids={"ovn-chassis-id": "hv2@192.0.2.22"})
    world.lport(switch, "p1", 1)
    (first,) = world.other["encaps"] - {second.uuid}
    ports = [
        world.lport(switch, f"p{key}", key, chassis=world.other.uuid, encap=encap)
        for key, encap in ((2, first), (3, second.uuid))
    ]
    world.add(
        sb.MulticastGroup,
        name="_MC_flood",
        tunnel_key=0x8000,
        datapath=switch.uuid,
        ports=frozenset(port.uuid for port in ports),
    )
    world.run()
    flows = world.flows(39, 100)
    assert [outputs(flows[f"metadata=0x7,reg15={key}"]) for key in ("0x2", "0x3")] == [[100], [102]]
    assert len(outputs(flows["metadata=0x7,reg15=0x8000"])) == 1


class Southbound:
    """A database in process, as the notebook sees a replica."""

    def __init__(self):
        self.database = Database(sb.schema(), sb.ROWS)
        self.store = self.database.store
        self.transaction = self.database.transaction
        self.connected = True
        self.before_commit = []

    async def commit(self, transaction):
        for interfere in self.before_commit:
            interfere()
        self.before_commit.clear()
        return self.database.commit(transaction)

    def port(self):
        (found,) = self.store.table(sb.PortBinding).rows.values()
        return found


@pytest.fixture
def southbound():
    made = Southbound()
    txn = made.transaction()
    datapath = txn.insert("Datapath_Binding", {"tunnel_key": 7})
    txn.insert("Port_Binding", {"logical_port": "p1", "datapath": datapath, "tunnel_key": 1, "options": MOVING})
    txn.commit()
    return made


async def settled(book, left=0):
    def written():
        assert len(book._learned) == left, book._learned
        return True

    await until_async(written)


async def test_chassis_that_hear_an_instance_at_once_are_both_written_down(southbound):
    def another():
        txn = southbound.transaction()
        txn.mutate(southbound.port(), "options", insert={ACTIVATED: "hv3"})
        txn.commit()

    southbound.before_commit.append(another)
    book = MacLearning()
    book.attach(southbound)
    book.note(Activated(datapath=7, port=1, chassis="hv1"))
    await settled(book)
    assert southbound.port().options[ACTIVATED] == "hv3,hv1"


async def test_events_are_written_after_southbound_is_reachable_again(southbound, monkeypatch):
    monkeypatch.setattr(mac_learning, "_PATIENCE", 0.002)
    southbound.connected = False
    book = MacLearning()
    book.attach(southbound)
    book.note(Activated(datapath=7, port=1, chassis="hv1"))
    book.note(Learned(datapath=7, port=1, mac="0a:00:00:00:00:01"))
    await settled(book, left=1)
    southbound.connected = True
    await settled(book)
    assert southbound.port().options[ACTIVATED] == "hv1"
    assert not southbound.store.table(sb.FDB).rows
