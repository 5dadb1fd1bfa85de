"""Constructors of columns: the type, the default, and how the engine is to treat the value."""

from __future__ import annotations

from ovenbird.engine.rows import OptionalReference, Reference, References, Row, Store
from ovenbird.model import nb
from ovenbird.model.types import boolean, enum, integer, many, mapping, optional, reference, string, strings
from ovenbird.ovsdb.types import NIL, UNLIMITED


def test_atoms_carry_their_constraints():
    assert integer(1, 4095).type.to_json() == {"key": {"type": "integer", "minInteger": 1, "maxInteger": 4095}}
    assert enum("b", "a").type.to_json() == {"key": {"type": "string", "enum": ["set", ["a", "b"]]}}
    assert string(max_length=63).type.to_json() == {"key": {"type": "string", "maxLength": 63}}


def test_collections_wrap_atoms():
    assert optional(boolean()).type.to_json() == {"key": "boolean", "min": 0}
    assert many(integer(0, 7), maximum=8).type.high == 8
    assert mapping(integer(), string()).type.to_json() == {
        "key": "integer", "value": "string", "min": 0, "max": "unlimited",
    }  # fmt: skip
    assert strings(minimum=1).type.low == 1


def test_defaults_are_canonical():
    assert [c.default for c in (string(), integer(), boolean(), optional(string()), strings(), reference("T"))] == [
        "", 0, False, None, frozenset(), NIL,
    ]  # fmt: skip
    assert strings(minimum=1).default == frozenset(("",))


def test_flags_reach_the_schema():
    class Thing(Row, indexes=(("name",),), root=False, max_rows=3):
        name = string(mutable=False)
        speed = integer(ephemeral=True)

    assert (Thing.name.mutable, Thing.speed.ephemeral) == (False, True)
    assert (Thing.INDEXES, Thing.ROOT, Thing.MAX_ROWS) == ((("name",),), False, 3)


def test_references_read_as_rows():
    assert isinstance(nb.LogicalSwitch.ports, References)
    assert isinstance(nb.LogicalSwitchPort.dhcpv4_options, OptionalReference)
    assert isinstance(reference("X"), Reference)
    store = Store("OVN_Northbound", nb.ROWS)
    options = store.table(nb.DHCPOptions).insert("a" * 36, list(nb.DHCPOptions.DEFAULTS))
    values = list(nb.LogicalSwitchPort.DEFAULTS)
    values[nb.LogicalSwitchPort.dhcpv4_options.index] = options.uuid
    port = store.table(nb.LogicalSwitchPort).insert("b" * 36, values)
    assert port.dhcpv4_options is options
    assert options.referrers(nb.LogicalSwitchPort.dhcpv4_options) == [port]


def test_positions_agree_between_rows_and_schema():
    schema = nb.schema()
    for row in nb.ROWS:
        table = schema.tables[row.TABLE]
        assert [c.name for c in table.columns] == [c.name for c in row.COLUMNS]
        assert [table.position[c.name] for c in row.COLUMNS] == [c.index for c in row.COLUMNS]
        assert (table.max_rows == UNLIMITED) == (row.MAX_ROWS is None)
