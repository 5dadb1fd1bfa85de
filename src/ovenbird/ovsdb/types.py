"""Types of columns, with their constraints (RFC 7047, sections 3.1 and 3.2; ovsdb(5), ovsdb(7)).

Values are canonical: the atom itself for a column of exactly one value, the atom or `None` for at most one, a
`frozenset`, or a `SharedSet` that behaves like one, for other sets, a `dict` for maps.
"""

from __future__ import annotations

import json as json_text
import re
from enum import StrEnum
from typing import Any, TypeGuard

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.ovsdb.errors import BadSyntax, ConstraintViolation

UNLIMITED = 0xFFFFFFFF  # ovsdb(5): "unlimited", as the original counts it
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
NIL = "00000000-0000-0000-0000-000000000000"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
"""A string that messages print without quotes, unless it looks like a value of another type."""


class Atomic(StrEnum):
    """The atomic types of RFC 7047, section 3.1."""

    INTEGER = "integer"
    REAL = "real"
    BOOLEAN = "boolean"
    STRING = "string"
    UUID = "uuid"


_PYTHON_TYPES: dict[Atomic, type] = {
    Atomic.INTEGER: int,
    Atomic.REAL: float,
    Atomic.BOOLEAN: bool,
    Atomic.STRING: str,
    Atomic.UUID: str,
}
_DEFAULTS: dict[Atomic, Any] = {
    Atomic.INTEGER: 0,
    Atomic.REAL: 0.0,
    Atomic.BOOLEAN: False,
    Atomic.STRING: "",
    Atomic.UUID: NIL,
}
_LIMITED = {Atomic.INTEGER: "Integer", Atomic.REAL: "Real", Atomic.STRING: "Length"}
_MEMBERS = frozenset(
    ("type", "enum", "refTable", "refType", *(limit + name for limit in ("min", "max") for name in _LIMITED.values()))
)


def is_identifier(name: Any) -> TypeGuard[str]:
    """Say whether a name is an `<id>` of RFC 7047, section 3.1."""
    return isinstance(name, str) and _IDENTIFIER.match(name) is not None


def members(json: Any, what: str, *, allowed: frozenset[str], required: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return a JSON object after checking which members it has.

    Arguments:
        json: what should be the object.
        what: what it is, for the error.
        allowed: the names of members that it may have.
        required: the names of members that it must have.

    Raises:
        BadSyntax: it is no object, or has other members, or lacks some.
    """
    if not isinstance(json, dict):
        raise BadSyntax(f"Parsing {what} failed: Object expected.", json)
    for name in required:
        if name not in json:
            raise BadSyntax(f"Parsing {what} failed: Required '{name}' member is missing.", json)
    for name in json:
        if name not in allowed:
            raise BadSyntax(f"Parsing {what} failed: Member '{name}' is present but not allowed here.", json)
    return json


def atom_from_json(atomic: Atomic, json: Any) -> Any:
    """Return the atom that plain JSON stands for (named UUIDs belong to `notation`).

    Raises:
        BadSyntax: the JSON is of another type.
    """
    kind = type(json)
    if atomic is Atomic.STRING or atomic is Atomic.BOOLEAN:
        if kind is _PYTHON_TYPES[atomic]:
            return json
    elif atomic is Atomic.INTEGER:
        if kind is int and MIN_INTEGER <= json <= MAX_INTEGER:
            return json
        # 1e3 is an integer to the original's parser. A float of -2**63 may be any of many integers that do not fit.
        if kind is float and json.is_integer() and MIN_INTEGER < json <= MAX_INTEGER:
            return int(json)
    elif atomic is Atomic.REAL:
        if kind is float:
            return json
        if kind is int:
            return float(json)
    elif kind is list and len(json) == 2 and json[0] == "uuid" and type(json[1]) is str and is_uuid(json[1]):
        return json[1].lower()
    raise BadSyntax(f"expected {atomic}", json)


_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\Z")


def is_uuid(text: str) -> bool:
    """Say whether a text is a UUID in its usual 36 characters."""
    return _UUID.match(text) is not None


@dataclass(frozen=True, slots=True)
class BaseType:
    """The type of a key or a value, with its constraints.

    Arguments:
        atomic: the atomic type.
        enum: the only values allowed, or `None`.
        low: least integer or real, or least length of a string in characters.
        high: greatest integer or real, or greatest length.
        ref_table: the table that a UUID refers to, or `None`.
        weak: whether the reference is weak (RFC 7047, section 3.2, `refType`).
    """

    atomic: Atomic
    enum: frozenset[Any] | None = None
    low: float | None = None
    high: float | None = None
    ref_table: str | None = None
    weak: bool = False

    @property
    def default(self) -> Any:
        """The default atom (RFC 7047, section 5.2.1)."""
        return _DEFAULTS[self.atomic]

    @property
    def constrained(self) -> bool:
        """Whether `check` looks at more than the Python type."""
        return self.enum is not None or self.low is not None or self.high is not None

    def without_constraints(self) -> BaseType:
        """Return the type that the operand of an arithmetic mutation has."""
        return BaseType(self.atomic)

    def check(self, atom: Any) -> None:
        """Check an atom of the right Python type against the constraints.

        Raises:
            ConstraintViolation: it is outside the enumeration, range or length.
        """
        if self.enum is not None:
            if atom not in self.enum:
                shown = ", ".join(_show(value) for value in sorted(self.enum))
                raise ConstraintViolation(f"{_show(atom)} is not one of the allowed values ([{shown}])")
            return
        size = len(atom) if self.atomic is Atomic.STRING else atom
        if (self.low is None or size >= self.low) and (self.high is None or size <= self.high):
            return
        if self.atomic is Atomic.STRING:
            relation, limit = (
                ("less than minimum", self.low)
                if self.low is not None and size < self.low
                else ("greater than maximum", self.high)
            )
            raise ConstraintViolation(f'"{atom}" length {size} is {relation} allowed length {limit}')
        low = "" if self.low is None else _show(self.low)
        high = "" if self.high is None else _show(self.high)
        if low and high:
            raise ConstraintViolation(f"{_show(atom)} is not in the valid range {low} to {high} (inclusive)")
        relation = f"less than minimum allowed value {low}" if low else f"greater than maximum allowed value {high}"
        raise ConstraintViolation(f"{_show(atom)} is {relation}")

    def check_python(self, atom: Any) -> None:
        """Check an atom that a Python caller gives: its type, then its constraints.

        Raises:
            BadSyntax: it has another type.
            ConstraintViolation: it is outside the constraints.
        """
        if type(atom) is not _PYTHON_TYPES[self.atomic] and not (
            self.atomic is Atomic.STRING and isinstance(atom, StrEnum)
        ):
            raise BadSyntax(f"expected {self.atomic}, not {atom!r}")
        if self.atomic is Atomic.UUID and not is_uuid(str(atom)):
            raise BadSyntax(f"expected uuid, not {atom!r}")
        if self.constrained:
            self.check(atom)

    @classmethod
    def from_json(cls, json: Any) -> BaseType:
        """Parse a `<base-type>`.

        Raises:
            BadSyntax: it is none, or its constraints contradict one another.
        """
        if isinstance(json, str):
            return cls(_atomic(json))
        given = members(json, "ovsdb type", allowed=_MEMBERS, required=frozenset(("type",)))
        atomic = _atomic(given["type"])
        enum = None
        if "enum" in given:
            raw = given["enum"]
            atoms = raw[1] if isinstance(raw, list) and len(raw) == 2 and raw[0] == "set" else [raw]
            enum = frozenset(atom_from_json(atomic, atom) for atom in atoms)
            if not enum or len(enum) != len(atoms):
                raise BadSyntax("enum must be a set of at least one distinct value", json)
        suffix = _LIMITED.get(atomic, "")
        low, high = (_bound(atomic, given, f"{side}{suffix}") if suffix else None for side in ("min", "max"))
        if low is not None and high is not None and low > high:
            raise BadSyntax(f"min{suffix} exceeds max{suffix}", json)
        if "refTable" in given and (atomic is not Atomic.UUID or not is_identifier(given["refTable"])):
            raise BadSyntax("refTable needs a uuid type and a table name", json)
        if given.get("refType", "strong") not in ("strong", "weak"):
            raise BadSyntax('refType must be "strong" or "weak"', json)
        return cls(atomic, enum, low, high, given.get("refTable"), given.get("refType") == "weak")

    def to_json(self) -> Any:
        """Return the shortest `<base-type>`."""
        answer: dict[str, Any] = {"type": str(self.atomic)}
        if self.enum is not None:
            answer["enum"] = ["set", [["uuid", a] if self.atomic is Atomic.UUID else a for a in sorted(self.enum)]]
        suffix = _LIMITED.get(self.atomic, "")
        if self.low is not None:
            answer[f"min{suffix}"] = self.low
        if self.high is not None:
            answer[f"max{suffix}"] = self.high
        if self.ref_table is not None:
            answer["refTable"] = self.ref_table
            if self.weak:
                answer["refType"] = "weak"
        return answer if len(answer) > 1 else answer["type"]


def _bound(atomic: Atomic, given: dict[str, Any], name: str) -> float | None:
    """Return a limit of a `<base-type>`."""
    if name not in given:
        return None
    bound: float = atom_from_json(Atomic.REAL if atomic is Atomic.REAL else Atomic.INTEGER, given[name])
    if atomic is Atomic.STRING and bound < 0:
        raise BadSyntax(f"{name} is at least 0", given[name])
    return bound


def _atomic(json: Any) -> Atomic:
    try:
        return Atomic(json)
    except ValueError:
        raise BadSyntax(f'"{json}" is not an atomic-type', json) from None


def _show(atom: Any) -> str:
    """Return an atom as the original's messages print it."""
    if isinstance(atom, bool):
        return "true" if atom else "false"
    if isinstance(atom, float):
        return f"{atom:.15g}"
    if isinstance(atom, str):
        bare = _BARE.match(atom) and atom not in ("true", "false") and not is_uuid(atom)
        return atom if bare else json_text.dumps(atom, ensure_ascii=False)
    return str(atom)


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The type of a column: a key, perhaps a value, and how many."""

    key: BaseType
    _: KW_ONLY
    value: BaseType | None = None
    low: int = 1
    high: int = 1

    @property
    def is_map(self) -> bool:
        """Whether values are dicts."""
        return self.value is not None

    @property
    def is_scalar(self) -> bool:
        """Whether a value is one atom, always."""
        return self.low == 1 and self.high == 1 and self.value is None

    @property
    def is_optional(self) -> bool:
        """Whether a value is one atom or `None`."""
        return self.low == 0 and self.high == 1 and self.value is None

    @property
    def is_set(self) -> bool:
        """Whether values are frozensets."""
        return self.value is None and self.high > 1

    @property
    def default(self) -> Any:
        """The canonical default value (RFC 7047, section 5.2.1)."""
        if self.value is not None:
            return {self.key.default: self.value.default} if self.low else {}
        if self.high == 1:
            return self.key.default if self.low else None
        return frozenset((self.key.default,)) if self.low else frozenset()

    @property
    def references(self) -> bool:
        """Whether values hold references to rows."""
        return self.key.ref_table is not None or (self.value is not None and self.value.ref_table is not None)

    def reads_as(self, other: ColumnType) -> bool:
        """Return whether values of this type can be read by who expects the other one.

        Ranges, enumerations and references may differ, and one value may be at most one: so releases differ.
        """
        if self.key.atomic is not other.key.atomic or self.is_map is not other.is_map:
            return False
        if self.value is not None and other.value is not None:
            return self.value.atomic is other.value.atomic
        return self.is_set is other.is_set

    def check_count(self, count: int) -> None:
        """Check how many members a value has.

        Raises:
            ConstraintViolation: too few or too many.
        """
        if not self.low <= count <= self.high:
            kind = "map" if self.value is not None else "set"
            raise ConstraintViolation(
                f"Attempted to store {count} elements in {kind} of {self._range()} {self._plural()}."
            )

    def _range(self) -> str:
        if self.low == self.high:
            return f"exactly {self.low}"
        if self.high == UNLIMITED:
            return f"{self.low} or more" if self.low else "any number of"
        return f"{self.low} to {self.high}" if self.low else f"up to {self.high}"

    def _plural(self) -> str:
        return f"({self.key.atomic}, {self.value.atomic}) pairs" if self.value else f"{self.key.atomic}s"

    def describe(self) -> str:
        """Return the type as the original's messages say it, as in `set of integers`."""
        if self.is_scalar:
            return str(self.key.atomic)
        kind = "map" if self.value else "optional" if self.is_optional else "set"
        if self.is_optional:
            return f"optional {self.key.atomic}"
        amount = "" if self.low == 0 and self.high == UNLIMITED else f"{self._range()} "
        return f"{kind} of {amount}{self._plural()}"

    def check(self, value: Any) -> None:
        """Check a canonical value whose atoms have the right Python types.

        Raises:
            ConstraintViolation: an atom breaks a constraint, or there are too few or too many.
        """
        if self.is_scalar:
            if self.key.constrained:
                self.key.check(value)
        elif self.is_optional:
            if value is not None and self.key.constrained:
                self.key.check(value)
        else:
            self.check_count(len(value))
            if self.key.constrained:
                for atom in value:
                    self.key.check(atom)
            if self.value is not None and self.value.constrained:
                for atom in value.values():
                    self.value.check(atom)

    def check_python(self, value: Any) -> None:
        """Check a value that a Python caller gives, types included.

        Raises:
            BadSyntax: it is not a canonical value of this type.
            ConstraintViolation: it breaks a constraint.
        """
        if self.value is not None:
            if type(value) is not dict:
                raise BadSyntax(f"expected a dict, not {value!r}")
            for key, atom in value.items():
                self.key.check_python(key)
                self.value.check_python(atom)
            self.check_count(len(value))
        elif self.high > 1:
            if type(value) is not frozenset:
                raise BadSyntax(f"expected a frozenset, not {value!r}")
            for atom in value:
                self.key.check_python(atom)
            self.check_count(len(value))
        elif value is not None or self.low:
            self.key.check_python(value)

    @classmethod
    def from_json(cls, json: Any) -> ColumnType:
        """Parse a `<type>`.

        Raises:
            BadSyntax: it is none, or one that no column can have.
        """
        if isinstance(json, str):
            return cls(BaseType.from_json(json))
        given = members(
            json, "ovsdb type", allowed=frozenset(("key", "value", "min", "max")), required=frozenset(("key",))
        )
        low, high = given.get("min", 1), given.get("max", 1)
        if high == "unlimited":
            high = UNLIMITED
        if type(low) is not int or type(high) is not int or low not in (0, 1) or not 1 <= high <= UNLIMITED:
            raise BadSyntax("ovsdb type fails constraint checks", json)
        value = BaseType.from_json(given["value"]) if "value" in given else None
        return cls(BaseType.from_json(given["key"]), value=value, low=low, high=high)

    def to_json(self) -> Any:
        """Return the shortest `<type>`."""
        if self.is_scalar:
            key = self.key.to_json()
            return key if isinstance(key, str) else {"key": key}
        answer: dict[str, Any] = {"key": self.key.to_json()}
        if self.value is not None:
            answer["value"] = self.value.to_json()
        if self.low != 1:
            answer["min"] = self.low
        if self.high != 1:
            answer["max"] = "unlimited" if self.high == UNLIMITED else self.high
        return answer
