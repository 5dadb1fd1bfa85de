"""A feature: everything that one capability of a logical network adds, in one value.

To add one: its file in ``northd/switch``, ``router`` or ``shared``, its place in ``northd.features``, its golden page.
``northd.build`` and ``ovenbird trace`` read here what they need to know of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import KW_ONLY, dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.facts import Fact, Members, Rows
    from ovenbird.engine.rows import Column, Store
    from ovenbird.engine.rules import Rule
    from ovenbird.model import nb
    from ovenbird.northd.ir.switch_port import SwitchPort
    from ovenbird.pipeline.explanations import HintedTable
    from ovenbird.pipeline.stages import Stage


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of NB_Global's `options` that always has a value.

    Arguments:
        key: the option's name.
        choose: makes the value used until the cloud sets one; called once, when an engine is made.
        valid: returns the cloud's value in normal form; empty if it is invalid.
    """

    key: str
    choose: Callable[[], str]
    valid: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Feature:
    """One capability.

    Arguments:
        name: as in `external_ids:source` of the flows it makes, and of its golden page.
        rules: its rules about rows other than switch ports.
        substitutes: by column, additional rules for a Southbound server that lacks that column.
        port: yields its facts about a switch port, if it has any.
        types: the port types that `port` is called for; None for all.
        needs: attributes of ``SwitchPort``: `port` is called for the ports of which any is true. Empty for all ports.
        concerns: whether `port` is called for the ports of a switch; asked once for all of them. None for all switches.
        outputs: the rows, and the sets in them, that it writes to Southbound and Northbound besides logical flows;
            several features may write the same ones.
        settings: the options of NB_Global that it needs.
        start: called with a new engine, Northbound and Southbound before the first wave: it
            keeps the numbers that are there (`engine.ids.seed`), or sets a limit.
        hints: the tables of the rows that its flows are made for.
        drops: by stage, why a packet is dropped there by a flow of this feature that has no hint; by stage and priority
            where packets are dropped for several reasons.
    """

    name: str
    _: KW_ONLY
    rules: tuple[Rule, ...] = ()
    substitutes: Mapping[Column[Any], tuple[Rule, ...]] = field(default_factory=dict)
    port: Callable[[SwitchPort], Iterable[Fact]] | None = None
    types: frozenset[str] | None = None
    needs: tuple[str, ...] = ()
    concerns: Callable[[nb.LogicalSwitch], bool] | None = None
    outputs: tuple[Rows[Any] | Members[Any, Any], ...] = ()
    settings: tuple[Setting, ...] = ()
    start: Callable[[Engine, Store, Store], None] | None = None
    hints: tuple[HintedTable, ...] = ()
    drops: Mapping[Stage | tuple[Stage, int], str] = field(default_factory=dict)
