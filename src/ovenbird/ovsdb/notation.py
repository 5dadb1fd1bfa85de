"""Values between JSON and Python (RFC 7047, section 5.1), diffs of values (ovsdb-server(7), 4.1.14), new UUIDs.

`decode` and `encode` are chosen once per column type: what runs per value is one small function. A diff is what the
journal and `update2` carry: the new value itself where a column holds at most one, else the symmetric difference of
sets, and for maps the pairs removed, added, and changed (with their new value).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ovenbird.engine.rows import UUID
from ovenbird.ovsdb.errors import BadSyntax, OvsdbError
from ovenbird.ovsdb.shared_set import exchange
from ovenbird.ovsdb.types import (
    MAX_INTEGER,
    MIN_INTEGER,
    UNLIMITED,
    Atomic,
    BaseType,
    ColumnType,
    atom_from_json,
    is_identifier,
    is_uuid,
)

Decode = Callable[[Any, "Names | None"], Any]
Encode = Callable[[Any], Any]
ValueDelta = tuple[Any, Any]
"""The members that a set or map gained and lost: (added, removed), as frozensets, or as dicts of a map's pairs."""

_pool: list[UUID] = []
_MAX_CANONICAL = 65536
_canonical: dict[str, str] = {}
"""A cache of UUIDs that rows refer to: many rows refer to the same few datapaths."""


def new_uuid() -> UUID:
    """Return a fresh random UUID (version 4); random bits are read for 256 of them at a time."""
    if not _pool:
        digits = os.urandom(16 * 256).hex()
        for at in range(0, 32 * 256, 32):
            d = digits[at : at + 32]
            variant = "89ab"[int(d[16], 16) & 3]
            _pool.append(UUID(f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{variant}{d[17:20]}-{d[20:]}"))
    return _pool.pop()


_STRINGS = frozenset((str,))


class Names(dict[str, UUID]):
    """The named UUIDs of one transaction; a name gets its UUID at its first use, also before its insert."""

    def __init__(self) -> None:
        super().__init__()
        self._claimed: set[str] = set()

    def __missing__(self, name: str) -> UUID:
        uuid = self[name] = new_uuid()
        return uuid

    def claim(self, name: str, *, table: str) -> bool:
        """Register the name of an inserted row; return whether it is the first with that name."""
        del table
        return self._claim(name)

    def _claim(self, name: str) -> bool:
        known = len(self._claimed)
        self._claimed.add(name)
        return len(self._claimed) > known


class RestoredNames(Names):
    """The named UUIDs of a restored backup: `row` and a UUID, with `_` for `-`, name that very UUID.

    Rows of several tables may have the same one.
    """

    def __missing__(self, name: str) -> UUID:
        uuid = name.removeprefix("row").replace("_", "-").lower()
        if name.startswith("row") and is_uuid(uuid):
            self[name] = UUID(uuid)
            return self[name]
        return super().__missing__(name)

    def claim(self, name: str, *, table: str) -> bool:
        """Register the name of an inserted row; return whether it is the first with that name in its table."""
        return self._claim(f"{table} {name}")


def _atom(base: BaseType, json: Any, names: Names | None) -> Any:
    """Return one atom, its named UUID resolved and its constraints checked."""
    if base.atomic is Atomic.UUID and type(json) is list and len(json) == 2 and json[0] == "named-uuid":
        if names is None or not is_identifier(json[1]):
            raise BadSyntax("expected uuid", json)
        return names[json[1]]
    atom = atom_from_json(base.atomic, json)
    if base.constrained:
        base.check(atom)
    return atom


def _count(type_: ColumnType, kind: str, count: int, json: Any) -> None:
    if type_.low <= count <= type_.high:
        return
    if type_.low == type_.high == 1:
        wanted = "exactly one member"
    elif type_.high == UNLIMITED:
        wanted = f"{type_.low} or more members"
    else:
        wanted = f"{type_.low} to {type_.high} members"
    raise BadSyntax(f"{kind} must have {wanted} but {count} are present", json)


@lru_cache(maxsize=4096)
def decoder(type_: ColumnType) -> Decode:
    """Return a function that converts JSON to canonical values of a type.

    It raises `BadSyntax` for other JSON, `ConstraintViolation` for atoms outside the constraints.
    """
    key, value = type_.key, type_.value
    if value is not None:
        return _map_decoder(type_, key, value)

    is_plain = key.atomic is Atomic.STRING and not key.constrained

    def decode_set(json: Any, names: Names | None = None) -> Any:
        if type(json) is list and len(json) == 2 and json[0] == "set":
            if type(json[1]) is not list:
                raise BadSyntax("set must be an array", json)
            members = json[1]
            _count(type_, "set", len(members), json)
            if is_plain and {*map(type, members)} <= _STRINGS:
                atoms = members
            else:
                atoms = [_atom(key, member, names) for member in members]
        else:
            atoms = [_atom(key, json, names)]
        if type_.high == 1:
            return atoms[0] if atoms else None
        answer = frozenset(atoms)
        if len(answer) != len(atoms):
            raise OvsdbError("set contains duplicate")
        return answer

    if type_.is_scalar and is_plain:

        def decode_string(json: Any, names: Names | None = None) -> Any:
            return json if type(json) is str else decode_set(json, names)

        return decode_string
    if type_.is_scalar and key.atomic is Atomic.STRING and key.enum is not None:
        words = key.enum

        def decode_word(json: Any, names: Names | None = None) -> Any:
            return json if type(json) is str and json in words else decode_set(json, names)

        return decode_word
    if type_.is_scalar and key.atomic is Atomic.INTEGER and key.enum is None:
        low = MIN_INTEGER if key.low is None else max(key.low, MIN_INTEGER)
        high = MAX_INTEGER if key.high is None else min(key.high, MAX_INTEGER)

        def decode_integer(json: Any, names: Names | None = None) -> Any:
            return json if type(json) is int and low <= json <= high else decode_set(json, names)

        return decode_integer
    if type_.high == 1 and key.atomic is Atomic.UUID and not key.constrained:

        def decode_reference(json: Any, names: Names | None = None) -> Any:
            if type(json) is list and len(json) == 2 and json[0] == "uuid" and type(json[1]) is str:
                known = _canonical.get(json[1])
                if known is not None:
                    return known
            answer = decode_set(json, names)
            if type(answer) is str and len(_canonical) < _MAX_CANONICAL:
                _canonical[answer] = answer
            return answer

        return decode_reference
    return decode_set


def _map_decoder(type_: ColumnType, key: BaseType, value: BaseType) -> Decode:
    plain = key == value == BaseType(Atomic.STRING)

    def decode_map(json: Any, names: Names | None = None) -> Any:
        if type(json) is not list or len(json) != 2 or json[0] != "map" or type(json[1]) is not list:
            raise BadSyntax('expected ["map", <array>]', json)
        pairs = json[1]
        _count(type_, "map", len(pairs), json)
        answer = {}
        for pair in pairs:
            if (type(pair) is not list and type(pair) is not tuple) or len(pair) != 2:  # `encoder` makes tuples
                raise BadSyntax("expected 2-element array", pair)
            k, v = pair
            if plain and type(k) is str and type(v) is str:
                answer[k] = v
            else:
                answer[_atom(key, k, names)] = _atom(value, v, names)
        if len(answer) != len(pairs):
            raise OvsdbError("map contains duplicate key")
        return answer

    return decode_map


@lru_cache(maxsize=4096)
def encoder(type_: ColumnType) -> Encode | None:
    """Return a function that converts canonical values of a type to JSON; `None` if they are JSON already.

    The pairs of a map are tuples, which cost half as much as lists and are encoded alike; `decoder` accepts them too.
    """
    refers = type_.key.atomic is Atomic.UUID
    if type_.value is not None:
        if refers or type_.value.atomic is Atomic.UUID:
            wrap_key, wrap_value = refers, type_.value.atomic is Atomic.UUID

            def encode_references(value: dict[Any, Any]) -> Any:
                return [
                    "map",
                    [[["uuid", k] if wrap_key else k, ["uuid", v] if wrap_value else v] for k, v in value.items()],
                ]

            return encode_references
        return lambda value: ["map", list(value.items())]
    if type_.is_scalar:
        return (lambda value: ["uuid", value]) if refers else None
    if type_.high == 1:
        if refers:
            return lambda value: ["set", []] if value is None else ["uuid", value]
        return lambda value: ["set", []] if value is None else value

    def encode_set(value: frozenset[Any]) -> Any:
        if len(value) == 1:
            (atom,) = value
            return ["uuid", atom] if refers else atom
        return ["set", [["uuid", atom] for atom in value] if refers else list(value)]

    return encode_set


def encode(type_: ColumnType, value: Any) -> Any:
    """Return the JSON of one value."""
    function = encoder(type_)
    return value if function is None else function(value)


@lru_cache(maxsize=4096)
def relaxed(type_: ColumnType, *, low: int = 0, high: int | None = None) -> ColumnType:
    """Return a type with other numbers of members allowed, as operands of conditions, mutations and diffs need.

    Arguments:
        type_: the column's.
        low: the fewest members.
        high: the most members; None for any number.
    """
    return ColumnType(type_.key, value=type_.value, low=low, high=type_.high if high is None else high)


def members(type_: ColumnType, value: Any) -> Any:
    """Return a value as a collection: a dict for maps, a frozenset for everything else."""
    if type_.value is not None or type_.high > 1:
        return value
    return frozenset() if value is None and type_.low == 0 else frozenset((value,))


def from_members(type_: ColumnType, value: Any) -> Any:
    """Return the canonical value that has these members; the inverse of `members`."""
    if type_.value is not None:
        return value
    if type_.high > 1:
        return value
    return next(iter(value), None)


def delta_of(type_: ColumnType, *, old: Any, new: Any) -> ValueDelta:
    """Return the members that a set or map column gained and lost; a changed pair of a map is in both.

    Arguments:
        type_: the column's.
        old: the value before.
        new: the value after.
    """
    if type_.value is not None:
        old_items, new_items = old.items(), new.items()
        return {k: v for k, v in new_items if k not in old or old[k] != v}, {
            k: v for k, v in old_items if k not in new or new[k] != v
        }
    return new - old, old - new


def diff_from_delta(type_: ColumnType, delta: ValueDelta) -> Any:
    """Return the diff of added and removed members."""
    added, removed = delta
    if type_.value is not None:
        return {**removed, **added}
    return added | removed


def apply_diff(type_: ColumnType, old: Any, *, diff: Any) -> Any:
    """Apply a diff to a value.

    Arguments:
        type_: the column's.
        old: the value before.
        diff: the new value, or for sets and maps what changes (the `update2` notification of ovsdb-server(7)).
    """
    if type_.value is not None:
        new = dict(old)
        for key, value in diff.items():
            if key in old and old[key] == value:
                del new[key]
            else:
                new[key] = value
        return new
    if type_.high > 1:
        return exchange(old, few=diff)
    return diff
