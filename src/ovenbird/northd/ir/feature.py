"""A feature: everything that one capability of a logical network adds, in one value.

To add one: its file in ``northd/switch``, ``router`` or ``shared``, its place in ``northd.features``, its golden page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rules import Rule
    from ovenbird.northd.ir.switch_port import SwitchPort


@dataclass(frozen=True, slots=True)
class Feature:
    """One capability.

    Arguments:
        name: as in `external_ids:source` of the flows it makes, and of its golden page.
        rules: its rules about rows other than switch ports.
        port: what it yields for each switch port, if anything.
        types: the types of the ports that this is about; all if it is None.
    """

    name: str
    rules: tuple[Rule, ...] = ()
    port: Callable[[SwitchPort], Iterable[Fact]] | None = None
    types: frozenset[str] | None = None
