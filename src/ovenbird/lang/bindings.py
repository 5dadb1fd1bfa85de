"""The values of the names in a match: ports, address sets and port groups, as given by the caller.

The mappings are only read with `get`, so that a caller can pass objects that record what was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from ovenbird.dataclass import KW_ONLY, dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_T_co = TypeVar("_T_co", covariant=True)


class Lookup(Protocol[_T_co]):
    """Anything whose `get(name)` returns a value or None; every mapping qualifies."""

    def get(self, name: str, /) -> _T_co | None:
        """Return the value of `name`, or None if it has none."""


def _nowhere(_port: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Bindings:
    """The meaning of names in one datapath.

    `address_sets` maps a set's name to its members as text (addresses, perhaps with a mask); `port_groups` maps a
    group's name to port names; `ports` maps a port's or multicast group's name to its tunnel key: a port without one
    matches nothing; `resident` returns whether a port is bound to this chassis (by default no port is).
    """

    address_sets: Lookup[Iterable[str]] = field(default_factory=dict)
    _: KW_ONLY
    port_groups: Lookup[Iterable[str]] = field(default_factory=dict)
    ports: Lookup[int] = field(default_factory=dict)
    resident: Callable[[str], bool] = _nowhere
