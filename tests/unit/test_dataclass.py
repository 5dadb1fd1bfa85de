"""What `ovenbird.dataclass` makes is what `dataclasses` makes, but its methods are compiled when they are called."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import ClassVar

import pytest

from ovenbird.dataclass import KW_ONLY, dataclass, field


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    kind: ClassVar[str] = "point"
    tags: list[str] = field(default_factory=list, compare=False, repr=False)
    _: KW_ONLY
    z: int
    w: int = 5


@dataclass(frozen=True, slots=True)
class Solid(Point):
    name: str = ""


@dataclass(slots=True)
class Counter:
    number: int
    seen: list[int] = field(init=False)
    limit: int = field(default=9, init=False)
    log: list[str] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.seen = [self.number]


@dataclass(frozen=True, eq=False)
class Plain:
    a: int


@dataclass(slots=True, unsafe_hash=True, kw_only=True)
class Keyed:
    a: int


@dataclass(frozen=True, slots=True)
class Named:
    name: str

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named)

    def __hash__(self) -> int:
        return 7


def test_arguments_have_their_places_names_and_defaults():
    point = Point(1, z=3)
    assert (point.x, point.y, point.tags, point.z, point.w, Point.kind) == (1, 2, [], 3, 5, "point")
    assert Point(1, 7, ["t"], z=3, w=4).tags == ["t"]
    assert Point(1, z=3).tags is not point.tags
    for wrong in (lambda: Point(1), lambda: Point(1, 2, [], 3), lambda: Point(1, z=3, v=4), lambda: Keyed(1)):
        with pytest.raises(TypeError):
            wrong()
    assert Point.__match_args__ == ("x", "y", "tags")


def test_fields_compare_hash_and_show_as_they_are_told():
    assert Point(1, z=3) == Point(1, 2, ["t"], z=3)
    assert Point(1, z=3) != Point(1, z=4)
    assert Point(1, z=3) != (1, 2, 3, 5)
    assert hash(Point(1, z=3)) == hash(Point(1, 2, ["t"], z=3)) == hash((1, 2, 3, 5))
    assert repr(Point(1, z=3)) == "Point(x=1, y=2, z=3, w=5)"
    assert Point(1, z=3) != Solid(1, z=3)
    assert repr(Solid(1, z=3, name="s")) == "Solid(x=1, y=2, z=3, w=5, name='s')"
    assert Solid(1, 2, [], "s", z=3) == Solid(1, z=3, name="s")


def test_a_class_that_is_not_frozen_changes_and_has_no_hash():
    counter = Counter(4)
    counter.number = 5
    assert (counter.seen, counter.limit, counter.log, counter.number) == ([4], 9, [], 5)
    with pytest.raises(TypeError):
        hash(counter)
    assert hash(Keyed(a=1)) == hash(Keyed(a=1))


def test_a_frozen_object_refuses_changes():
    point = Point(1, z=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x
    assert dataclasses.replace(point, x=2) == Point(2, z=3)
    assert dataclasses.asdict(point) == {"x": 1, "y": 2, "tags": [], "z": 3, "w": 5}


def test_objects_that_are_not_compared_are_themselves():
    assert Plain(1) != Plain(1)
    assert len({Plain(1), Plain(1)}) == 2


def test_methods_that_a_class_defines_itself_are_kept():
    assert repr(Named("n")) == "n"
    assert (Named("n") == Named("m"), hash(Named("n"))) == (True, 7)


@pytest.mark.parametrize("each", [Point(1, z=3), Solid(1, z=3, name="s"), Counter(4), Plain(1)], ids=repr)
def test_copies_and_pickles_have_the_same_fields(each):
    for other in (copy.copy(each), copy.deepcopy(each), pickle.loads(pickle.dumps(each))):
        assert type(other) is type(each)
        assert dataclasses.asdict(other) == dataclasses.asdict(each)


def test_no_method_is_compiled_before_it_is_called():
    @dataclass(frozen=True, slots=True)
    class Late:
        a: int

    methods = {name: vars(Late)[name] for name in ("__init__", "__eq__", "__hash__")}
    late = Late(1)
    assert vars(Late)["__init__"] is not methods["__init__"]
    assert vars(Late)["__hash__"] is methods["__hash__"]
    assert hash(late) == hash(Late(1))
    assert vars(Late)["__eq__"] is methods["__eq__"]
    assert late == Late(1)
    assert all(vars(Late)[name] is not first for name, first in methods.items())
