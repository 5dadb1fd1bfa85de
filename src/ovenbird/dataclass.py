"""`dataclasses.dataclass`, made in a tenth of the time: its methods are compiled when they are first called.

A process imports hundreds of classes of messages and actions, and makes no object of most of them. The standard
decorator compiles six methods for each class, which was half of a controller's start. For their users the classes
behave like the standard's: fields, arguments and their defaults, equality, hashes, `replace` and `asdict`. `InitVar`
and `order` are not supported.
"""

from __future__ import annotations

import dataclasses
from dataclasses import KW_ONLY, MISSING, FrozenInstanceError, field
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["KW_ONLY", "dataclass", "field"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from dataclasses import Field, dataclass

else:

    def dataclass(
        *, frozen: bool = False, eq: bool = True, unsafe_hash: bool = False, slots: bool = False, kw_only: bool = False
    ) -> Callable[[type], type]:
        """Return the decorator; its arguments are those of `dataclasses.dataclass`."""

        def decorate(given: type) -> type:
            plain = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
            return _complete(plain(given), frozen=frozen, eq=eq, unsafe_hash=unsafe_hash)

        return decorate


def _complete(cls: Any, *, frozen: bool, eq: bool, unsafe_hash: bool) -> Any:
    """Add the methods to a class whose fields are known."""
    fields = dataclasses.fields(cls)
    own = cls.__dict__
    hashed = "__hash__" in own and not (own["__hash__"] is None and "__eq__" in own)
    if "__init__" not in own:
        cls.__init__ = _when_called(
            cls, "__init__", lambda: _init_of(fields, frozen=frozen, follow_up=hasattr(cls, "__post_init__"))
        )
    if "__repr__" not in own:
        cls.__repr__ = _repr
    if eq and "__eq__" not in own:
        cls.__eq__ = _when_called(cls, "__eq__", lambda: _eq_of([f.name for f in fields if f.compare]))
    if unsafe_hash or (eq and frozen and not hashed):
        names = [f.name for f in fields if (f.compare if f.hash is None else f.hash)]
        cls.__hash__ = _when_called(cls, "__hash__", lambda: _hash_of(names))
    elif eq and not hashed:
        cls.__hash__ = None
    if frozen:
        cls.__setattr__, cls.__delattr__ = _refuse_change, _refuse_change
        if "__slots__" in own:
            cls.__getstate__, cls.__setstate__ = _state, _restore
    return cls


def _when_called(cls: Any, name: str, make: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """Return a method that makes the real one at the first call, puts it in its place and calls it."""

    def first(*arguments: Any, **named: Any) -> Any:
        method = make()
        method.__qualname__ = f"{cls.__qualname__}.{name}"
        method.__module__ = cls.__module__
        setattr(cls, name, method)
        return method(*arguments, **named)

    first.__name__, first.__qualname__ = name, f"{cls.__qualname__}.{name}"
    return first


def _compiled(name: str, parameters: str, body: Iterable[str], names: dict[str, Any]) -> Callable[..., Any]:
    """Compile a method.

    Arguments:
        name: the method's.
        parameters: its parameters.
        body: its lines.
        names: what its text refers to.
    """
    lines = "".join(f"\n {line}" for line in body)
    exec(f"def {name}({parameters}):{lines}", names)  # noqa: S102 - of the names of fields alone, as dataclasses does
    method: Callable[..., Any] = names[name]
    return method


def _init_of(fields: Sequence[Field[Any]], *, frozen: bool, follow_up: bool) -> Callable[..., Any]:
    """Return `__init__` of a class.

    Arguments:
        fields: its fields.
        frozen: whether objects refuse changes.
        follow_up: whether it has a method `__post_init__`.
    """
    names: dict[str, Any] = {"_set": object.__setattr__, "_missing": MISSING}
    places: list[str] = []
    keywords: list[str] = []
    body: list[str] = []
    for each in fields:
        name = each.name
        value = name
        if each.default_factory is not MISSING:
            names[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}() if {name} is _missing else {name}" if each.init else f"_make_{name}()"
        elif each.default is not MISSING:
            names[f"_default_{name}"] = each.default
            value = name if each.init else f"_default_{name}"
        elif not each.init:
            continue
        if each.init:
            (keywords if each.kw_only else places).append(f"{name}{_default_of(each)}")
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if follow_up:
        body.append("self.__post_init__()")
    parameters = ["self", *places, *(["*", *keywords] if keywords else [])]
    return _compiled("__init__", ", ".join(parameters), body or ["pass"], names)


def _default_of(each: Field[Any]) -> str:
    """Return the default of a parameter of `__init__`, with the equals sign; empty if it has none."""
    if each.default_factory is not MISSING:
        return "=_missing"
    return f"=_default_{each.name}" if each.default is not MISSING else ""


def _eq_of(names: Sequence[str]) -> Callable[..., Any]:
    """Return `__eq__` of a class whose objects are compared by these fields."""
    mine, yours = (_tuple(side, names) for side in ("self", "other"))
    body = ("if other.__class__ is self.__class__:", f" return {mine} == {yours}", "return NotImplemented")
    return _compiled("__eq__", "self, other", body, {})


def _hash_of(names: Sequence[str]) -> Callable[..., Any]:
    """Return `__hash__` of a class whose objects are hashed by these fields."""
    return _compiled("__hash__", "self", (f"return hash({_tuple('self', names)})",), {})


def _tuple(owner: str, names: Iterable[str]) -> str:
    return "(" + "".join(f"{owner}.{name}," for name in names) + ")"


@recursive_repr()
def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse_change(self: Any, name: str, *_: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot change {name!r} of {type(self).__name__}")


def _state(self: Any) -> list[Any]:
    """Return what a copy is made of."""
    return [getattr(self, f.name) for f in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    """Make a new object what another one was."""
    for f, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, f.name, value)
