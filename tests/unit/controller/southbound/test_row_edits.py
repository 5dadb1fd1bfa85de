"""From discrepancies to transactions."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest

from ovenbird.controller.edits import EDIT, EDIT_AFTER_FLOWS, NOW, EditRelation, keys, members, to
from ovenbird.controller.local.bridge import ADD_PORT
from ovenbird.controller.local.chassis import CHASSIS
from ovenbird.controller.southbound.row_edits import CLAIM_PAUSE, RowEdits
from ovenbird.engine.serial_uuids import serial_uuids
from ovenbird.model import sb, vswitch
from ovenbird.ovsdb.errors import OvsdbError


class Recorder:
    """A transaction that only notes what it is given."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []

    def insert(self, table, values, uuid=None):
        self.done.append(("insert", table.TABLE, values))
        return serial_uuids(1)[0]

    def update(self, row, values):
        self.done.append(("update", row.uuid, values))

    def mutate(self, row, column, insert=(), delete=()):
        self.done.append(("mutate", row.uuid, column, insert, list(delete)))

    def delete(self, row):
        self.done.append(("delete", row.uuid))

    def lacks(self, table, columns=()):
        return False

    def wait(self, row, expected):
        self.done.append(("wait", row.uuid, expected))


async def seen():
    """Return at once: no wave runs."""


@pytest.fixture
def book(world):
    return RowEdits(world.sb, seen, clock=lambda: world.now)


def staged(book):
    """Return what a round of writing stages, and the seconds until the next."""
    transaction = Recorder()
    book.begin()
    book.stage(transaction)
    return transaction.done, book.finish(complete=True)


def test_an_edit_stays_until_it_is_no_longer_wanted(world, book):
    port = world.lport(world.switch(1), "p1", 1)
    fact = EDIT(port, to(sb.PortBinding.chassis, world.me.uuid), holder=sb.PortBinding.chassis)
    world.now = 0.0
    book.absorb(added=[fact], removed=[])
    assert staged(book)[0] == staged(book)[0] == [("update", port.uuid, {"chassis": world.me.uuid})]
    book.absorb(added=[], removed=[fact])
    assert staged(book)[0] == []


def test_edits_of_the_other_database_are_not_taken(world, book):
    interface = world.port_on_bridge("tap1", 5)
    book.absorb(added=[EDIT(interface, to(vswitch.Interface.name, "x"))], removed=[])
    assert book.outstanding == {}


def test_edits_after_the_flows_wait_for_the_switch(world, book):
    port = world.lport(world.switch(1), "p1", 1)
    fact = EDIT_AFTER_FLOWS(port, to(sb.PortBinding.up, value=True))
    book.absorb(added=[fact], removed=[])
    assert staged(book)[0] == []
    assert book.confirm(book.waiting())
    assert staged(book)[0] == [("update", port.uuid, {"up": True})]
    book.absorb(added=[], removed=[fact])
    assert not book.confirm([fact])  # it is not wanted any more


def test_two_chassis_do_not_fight_at_full_speed(world, book):
    port = world.lport(world.switch(1), "p1", 1, chassis=world.other.uuid)
    book.absorb(
        added=[EDIT(port, to(sb.PortBinding.chassis, world.me.uuid), holder=sb.PortBinding.chassis)], removed=[]
    )
    world.now = 0.0
    assert staged(book) == ([("update", port.uuid, {"chassis": world.me.uuid})], None)
    world.now = 0.1
    assert staged(book) == ([], pytest.approx(CLAIM_PAUSE - 0.1))
    world.now = CLAIM_PAUSE
    assert len(staged(book)[0]) == 1


def test_an_edit_that_is_refused_holds_up_no_claim(world, book):
    switch = world.switch(1)
    port = world.lport(switch, "p1", 1, chassis=world.other.uuid)
    refused = EDIT(world.lport(switch, "p2", 2), to(sb.PortBinding.up, value=True))
    world.now = 0.0
    book.absorb(
        added=[refused, EDIT(port, to(sb.PortBinding.chassis, world.me.uuid), holder=sb.PortBinding.chassis)],
        removed=[],
    )
    for _ in range(8):
        book.refuse(refused, OvsdbError("no"))
    assert len(staged(book)[0]) == 1
    world.now = 0.1
    assert staged(book) == ([], pytest.approx(CLAIM_PAUSE - 0.1))


def test_a_port_that_another_chassis_has_taken_meanwhile_is_not_given_back(world, book):
    port = world.lport(world.switch(1), "p1", 1, chassis=world.me.uuid)
    released = (to(sb.PortBinding.chassis, None), to(sb.PortBinding.up, value=False))
    book.absorb(added=[EDIT(port, *released, holder=sb.PortBinding.chassis)], removed=[])
    assert staged(book)[0][0] == ("wait", port.uuid, {"chassis": world.me.uuid})


def test_a_chassis_under_a_new_name_takes_its_address_with_it(world, book):
    book.absorb(
        added=[CHASSIS("new", "host", frozenset(), (), (("geneve", "192.0.2.1", (("csum", "true"),)),), "")], removed=[]
    )
    done, _ = staged(book)
    assert ("delete", world.me.uuid) in done
    assert [step[1] for step in done if step[0] == "insert"] == ["Encap", "Chassis", "Chassis_Private"]


def test_a_port_is_added_with_its_interface(world):
    book = RowEdits(world.vs, seen)
    book.absorb(added=[ADD_PORT(world.bridge.uuid, "patch-a", "patch", (("peer", "b"),), (("k", "v"),))], removed=[])
    (interface, port, bridge), _ = staged(book)
    assert interface[2] == {"name": "patch-a", "type": "patch", "options": {"peer": "b"}}
    assert port[2]["external_ids"] == {"k": "v"}
    assert bridge[:3] == ("mutate", world.bridge.uuid, "ports")


def test_a_renamed_chassis_keeps_its_rows(world, book):
    (encap,) = world.me.encaps
    book.absorb(
        added=[CHASSIS("new", "host", frozenset(), (), (("geneve", "192.0.2.1", (("csum", "true"),)),), "hv1")],
        removed=[],
    )
    done, _ = staged(book)
    assert ("update", world.me.uuid, {"name": "new"}) in done
    assert ("update", encap.uuid, {"chassis_name": "new"}) in done
    assert not [each for each in done if each[0] in ("insert", "delete")]


def test_an_edit_may_say_when_it_was_written(world, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1234.5)
    interface = world.port_on_bridge("tap1", 5)
    private = next(iter(world.sb.table(sb.ChassisPrivate).rows.values()))
    ids = (("ovn-installed", "true"), ("ovn-installed-ts", NOW), ("gone", None))
    for store, fact, expected in (
        (world.vs, EDIT(interface, keys(vswitch.Interface.external_ids, *ids)),
         [("mutate", interface.uuid, "external_ids", {"ovn-installed": "true", "ovn-installed-ts": "1234500"},
           ["ovn-installed", "ovn-installed-ts", "gone"])]),
        (world.sb, EDIT(private, to(sb.ChassisPrivate.nb_cfg, 3), to(sb.ChassisPrivate.nb_cfg_timestamp, NOW)),
         [("update", private.uuid, {"nb_cfg": 3}), ("update", private.uuid, {"nb_cfg_timestamp": 1234500})]),
    ):  # fmt: skip
        book = RowEdits(store, seen)
        book.absorb(added=[fact], removed=[])
        assert staged(book)[0] == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda: to(sb.Chassis.transport_zones, "a zone"),
        lambda: to(sb.Chassis.hostname, frozenset(["a name"])),
        lambda: to(sb.Chassis.other_config, (("a", "b"),)),
        lambda: to(sb.PortBinding.additional_chassis, "a UUID"),
        lambda: keys(sb.Chassis.hostname, ("a", "b")),
        lambda: members(sb.PortBinding.chassis, ("a UUID", True)),
    ],
)
def test_a_value_of_another_form_than_its_column_is_refused_when_it_is_made(change):
    with pytest.raises(TypeError):
        change()


def test_an_edit_of_any_kind_writes_itself(world, book, caplog):
    class Greeting(NamedTuple):
        relation: EditRelation
        text: str
        row_class: type = sb.DNS
        subject: str = "a greeting"

        def stage(self, store, transaction):
            transaction.insert(sb.DNS, {"external_ids": {"greeting": self.text}})

    world.now = 0.0
    fact = EditRelation("greeting", Greeting)(text="hello")
    book.absorb(added=[fact], removed=[])
    assert staged(book)[0] == [("insert", "DNS", {"external_ids": {"greeting": "hello"}})]
    book.refuse(fact, OvsdbError("no"))
    assert "refuses a greeting" in caplog.text
