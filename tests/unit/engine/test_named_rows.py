"""Rows whose columns have names in their facts: each field has the type of its column."""

import importlib
import pkgutil
from typing import NamedTuple

import pytest

import ovenbird.cloud
import ovenbird.controller
import ovenbird.northd
from ovenbird.engine.facts import NamedRows, Relation, maker
from ovenbird.model import sb
from ovenbird.ovsdb.types import Atomic

ATOMS = {Atomic.STRING: "str", Atomic.INTEGER: "int", Atomic.REAL: "float", Atomic.BOOLEAN: "bool", Atomic.UUID: "UUID"}


def of_facts(column):
    """The types that a column's field may have: a column that may be empty is perhaps always given."""
    kind = column.type
    if kind is None:
        return {"str", "UUID"}  # of a table that no schema has
    atom = ATOMS[kind.key.atomic]
    if kind.value is not None:
        pairs = f"tuple[tuple[{atom}, {ATOMS[kind.value.atomic]}], ...]"
        return {pairs, "Pairs"} if pairs == "tuple[tuple[str, str], ...]" else {pairs}
    if column.many:
        return {f"frozenset[{atom}]"}
    return {atom} if kind.low else {atom, f"{atom} | None"}


def relations():
    found = {}
    for package in (ovenbird.cloud, ovenbird.controller, ovenbird.northd):
        for name in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(name.name)
            found |= {id(one): one for one in vars(module).values() if isinstance(one, NamedRows)}
    return found.values()


def test_each_field_has_its_columns_type():
    found = relations()
    assert len(found) > 30
    for one in found:
        given = {name: getattr(kind, "__forward_arg__", kind) for name, kind in one.make.__annotations__.items()}
        for column in one.columns:
            assert given[column.attribute] in of_facts(column), (one.make, column)


class Named(NamedTuple):
    relation: Relation
    name: str
    addresses: frozenset[str] = frozenset(("10.0.0.1",))


def test_a_maker_makes_the_facts_that_the_relation_makes():
    sets = NamedRows(sb.AddressSet, Named, key=sb.AddressSet.name)
    make = maker(sets)
    for made, given in ((make(name="as0"), sets(name="as0")), (make("as1", frozenset()), sets("as1", frozenset()))):
        assert made == given
        assert type(made) is Named
        assert made.relation is sets


class Misspelt(NamedTuple):
    relation: Relation
    name: str
    adresses: frozenset[str]


class Swapped(NamedTuple):
    relation: Relation
    addresses: frozenset[str]
    name: str


def test_a_field_that_is_no_column_is_refused():
    with pytest.raises(TypeError, match="Address_Set has no columns \\['adresses'\\]"):
        NamedRows(sb.AddressSet, Misspelt, key=sb.AddressSet.name)


@pytest.mark.parametrize("key", [sb.AddressSet.name, sb.PortGroup.name])
def test_the_key_comes_first(key):
    with pytest.raises(TypeError, match="do not begin with the key"):
        NamedRows(sb.AddressSet, Swapped, key=key)
