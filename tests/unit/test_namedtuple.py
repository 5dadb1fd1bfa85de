"""Our named tuples behave as the standard library's."""

from __future__ import annotations

import pickle
import typing
from typing import Any

import pytest

from ovenbird.namedtuple import NamedTuple


class Ours(NamedTuple):
    """A place."""

    name: str
    at: tuple[int, ...]
    near: Ours | None = None

    @property
    def first(self) -> int:
        """The first number."""
        return self.at[0]

    @classmethod
    def at_zero(cls, name: str) -> Ours:
        """Return one at zero."""
        return cls(name, at=(0,))


class Standard(typing.NamedTuple):
    """A place."""

    name: str
    at: tuple[int, ...]
    near: Standard | None = None


def test_fields_defaults_and_text_are_the_same():
    for name in ("_fields", "_field_defaults", "__doc__", "__module__", "__match_args__", "__slots__"):
        assert getattr(Ours, name) == getattr(Standard, name), name
    assert Ours.__annotations__ == {"name": "str", "at": "tuple[int, ...]", "near": "Ours | None"}
    assert Ours.__qualname__ == "Ours"
    assert repr(Ours("a", (1, 2))) == "Ours(name='a', at=(1, 2), near=None)"


def test_they_are_tuples():
    ours, standard = Ours("a", at=(1,)), Standard("a", at=(1,))
    assert ours == standard == ("a", (1,), None)
    assert hash(ours) == hash(standard)
    assert ours._replace(name="b") == ("b", (1,), None)
    assert ours._asdict() == standard._asdict()
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert not hasattr(ours, "__dict__")
    name, at, near = ours
    assert (name, at, near) == ("a", (1,), None)


def test_what_else_the_class_has_is_kept():
    assert Ours.at_zero("a").first == 0
    assert isinstance(Ours.at_zero("a"), Ours)


@pytest.mark.parametrize("values", [{"name": "a"}, {"name": "a", "at": (), "far": 1}])
def test_wrong_fields_are_errors(values: dict[str, Any]):
    with pytest.raises(TypeError):
        Ours(**values)


def test_a_second_base_class_is_refused():
    with pytest.raises(TypeError, match="no other base classes"):
        type(NamedTuple)("Two", (NamedTuple, dict), {"__module__": __name__})
