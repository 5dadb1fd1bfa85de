"""A row on which a function fails costs what is made of it, and stops nobody else."""

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import Rows
from ovenbird.engine.rows import Store
from ovenbird.engine.rules import rule
from support.engine.things import Label, Thing, contents, settle

LABEL = Rows(Label, [Label.name], values=[Label.text])
HALVES = ComputedIndex(Thing.name, Thing.size, keys=lambda values: [100 // values[Thing.size.index]])


@rule(Thing)
def halves(thing):
    """The things that fit a hundred times as often as this one is large; sizes of 13 are bad luck."""
    if thing.size == 13:
        raise ValueError("bad luck")
    yield LABEL(thing.name, " ".join(sorted(row.name for row in HALVES.rows(thing.size))))


def test_a_row_that_fails_is_left_out_until_it_changes(caplog):
    source, target = Store("s", [Thing]), Store("t", [Label])
    things = source.table(Thing)
    engine = Engine([source], [halves])
    engine.bind(LABEL, target)
    things.insert("a", ["a", 50, None])
    settle(engine, target)
    things.insert("zero", ["zero", 0, None])  # cannot be filed
    things.insert("luck", ["luck", 13, None])  # has no label
    things.insert("b", ["b", 2, None])
    settle(engine, target)
    assert contents(target, Label)["Label"] == [("a", "b", (), ""), ("b", "a", (), ""), ("zero", "", (), "")]
    assert "cannot be indexed" in caplog.text
    assert len(engine.failures) == 1
    things.modify(things.rows["zero"], {Thing.size.index: 50})
    things.modify(things.rows["luck"], {Thing.size.index: 4})
    settle(engine, target)
    assert engine.failures == {}
    assert contents(target, Label)["Label"] == [
        ("a", "b", (), ""), ("b", "a zero", (), ""), ("luck", "", (), ""), ("zero", "b", (), ""),
    ]  # fmt: skip
    things.modify(things.rows["zero"], {Thing.size.index: 0})
    things.delete(things.rows["zero"])
    settle(engine, target)
    assert ("b", "a", (), "") in contents(target, Label)["Label"]
