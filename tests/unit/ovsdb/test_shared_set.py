"""A large set that changes is what a frozenset would be, in whatever is done with it; the large part is shared."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird.model import nb
from ovenbird.ovsdb.journal import create, open_database
from ovenbird.ovsdb.shared_set import LARGE, SharedSet, exchange

START = frozenset(range(LARGE))
few = st.frozensets(st.integers(-50, 50) | st.integers(LARGE - 50, LARGE + 50), max_size=20)


@settings(max_examples=60)
@given(st.lists(few, min_size=1, max_size=12), few)
def test_a_shared_set_behaves_like_a_frozenset(changes, other):
    made, model = START, START
    for change in changes:
        before, was = made, model
        made, model = exchange(made, few=change), model ^ change
        assert before == was, "a value never changes"
    assert len(made) == len(model)
    assert sorted(made) == sorted(model)
    assert all((n in made) is (n in model) for n in range(-60, LARGE + 60))
    assert made == model
    assert model == made
    assert hash(made) == hash(model)
    assert repr(made).startswith("frozenset({")
    for ours, theirs in ((made, model), (other, other), (START, START)):
        for result, right in (
            (made & ours, model & theirs),
            (made | ours, model | theirs),
            (made - ours, model - theirs),
            (made ^ ours, model ^ theirs),
            (ours & made, theirs & model),
            (ours | made, theirs | model),
            (ours - made, theirs - model),
            (ours ^ made, theirs ^ model),
        ):
            assert type(result) is frozenset
            assert result == right
        assert [made <= ours, made < ours, made >= ours, made == ours, ours <= made, ours < made] == [
            model <= theirs, model < theirs, model >= theirs, model == theirs, theirs <= model, theirs < model,
        ]  # fmt: skip
        assert made.isdisjoint(ours) is model.isdisjoint(theirs)
    assert made != list(model)
    assert dict.fromkeys(model).keys() == made


@settings(deadline=None)
@given(few, few)
def test_equality_is_of_members_whatever_they_were_made_from(one, other):
    made, again = exchange(START, few=one), exchange(START, few=other)
    assert (made == again) is (one == other)
    assert exchange(made, few=one) == START
    assert (exchange(START | {-99}, few=one | {-99}) == again) is (one - {-99} == other)


def test_the_large_part_is_shared_until_the_rest_is_its_root():
    made, whole = START, 0
    for n in range(10 * LARGE):
        made = exchange(made, few={n + LARGE})
        whole += type(made) is frozenset
    assert len(made) == 11 * LARGE
    assert 50 < whole < 400


def test_small_sets_are_frozensets():
    assert type(exchange(frozenset(range(LARGE - 1)), few={-1})) is frozenset
    assert exchange(frozenset([1, 2]), few={2, 3}) == {1, 3}


def test_a_column_of_thousands_is_changed_taken_over_and_journalled(tmp_path):
    """Members come and go, by themselves and with the rows that they name; the file says the same."""
    path = tmp_path / "nb.db"
    create(path, nb.schema())
    database = open_database(path, nb.ROWS)
    txn = database.transaction()
    ports = [txn.insert(nb.LogicalSwitchPort, {"name": f"p{n}"}) for n in range(LARGE + 200)]
    switch = txn.insert(nb.LogicalSwitch, {"name": "s", "ports": frozenset(ports)})
    group = txn.insert(nb.PortGroup, {"name": "g", "ports": frozenset(ports[3:])})
    txn.commit()
    expected = set(ports[3:])
    for number in range(100):
        txn = database.transaction()
        if number == 50:
            txn.mutate(switch, "ports", delete=[ports[-1]])
            expected.discard(ports[-1])
        elif ports[number] in expected:
            txn.mutate(group, "ports", delete=[ports[number]])
            expected.discard(ports[number])
        else:
            txn.mutate(group, "ports", insert=[ports[number]])
            expected.add(ports[number])
        txn.commit()
    value = database.store.table(nb.PortGroup).rows[group]["ports"]
    assert type(value) is SharedSet
    assert value == expected
    txn = database.transaction()
    twin = txn.insert(nb.PortGroup, {"name": "h", "ports": value})
    txn.commit()
    database.journal.close()
    again = open_database(path, nb.ROWS)
    assert {uuid: set(row["ports"]) for uuid, row in again.store.table(nb.PortGroup).rows.items()} == {
        group: expected, twin: expected,
    }  # fmt: skip
    again.journal.close()
