"""The Northbound → Southbound compiler: all features' rules on one engine.

``build`` reads two stores and returns an engine whose outputs are bound to both: derived rows to Southbound, and what
goes back up (a port's state, sequence numbers) to Northbound. It does no I/O: a driver runs waves, has each output
plan its edits, and commits them.

A Southbound database that another northd wrote is taken over: rows are recognised by their keys, tunnel keys are kept,
and rows that no rule calls for are removed.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from ovenbird.engine.alarms import now
from ovenbird.engine.engine import Engine
from ovenbird.engine.facts import KeyRows, Members, Rows
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import nb, sb
from ovenbird.northd.features import FEATURES
from ovenbird.northd.findings import CompilerFindings
from ovenbird.northd.ir.datapath_groups import DP_GROUP, IN_DP_GROUP
from ovenbird.northd.ir.flow import LOGICAL_FLOW
from ovenbird.northd.ir.switch_port import SwitchPort
from ovenbird.northd.status import Changes, status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import Column, Row, Store
    from ovenbird.northd.ir.feature import Feature

_OF_PORTS = tuple((feature, feature.port) for feature in FEATURES if feature.port is not None)

_CONCERNS = tuple({feature.concerns: None for feature, _ in _OF_PORTS if feature.concerns is not None})

_NEEDS = tuple(sorted({name for feature, _ in _OF_PORTS for name in feature.needs}))

_needed = attrgetter(*_NEEDS)
"""Returns the attributes of a port that features need."""

GROUP_RELATIONS = (DP_GROUP, IN_DP_GROUP)
"""What all features write, besides logical flows."""

LEFT_BEHIND: tuple[type[Row], ...] = (sb.LoadBalancer, sb.ServiceMonitor, sb.ChassisTemplateVar)
"""Tables that ovn-northd, or chassis on its behalf, fill. Where no feature of ours writes one, it is emptied.

References from it would keep datapaths and groups of datapaths from being deleted.
"""


@view
def concerned(switch: nb.LogicalSwitch) -> tuple[bool, ...]:
    """Return of each of `_CONCERNS` whether the ports of a switch are of interest."""
    return tuple([concerns(switch) for concerns in _CONCERNS])


def port_hooks(port: SwitchPort) -> tuple[Callable[[SwitchPort], Iterable[Fact]], ...]:
    """Return the hooks of the features that have something to say about a port; others cost it nothing."""
    return _hooks(port.type, tuple(map(bool, _needed(port))), concerned(port.switch))


@lru_cache(maxsize=4096)
def _hooks(
    kind: str, present: tuple[bool, ...], concerns: tuple[bool, ...]
) -> tuple[Callable[[SwitchPort], Iterable[Fact]], ...]:
    has, holds = set(compress(_NEEDS, present)), {None, *compress(_CONCERNS, concerns)}
    return tuple(
        hook
        for feature, hook in _OF_PORTS
        if (feature.types is None or kind in feature.types)
        and (not feature.needs or not has.isdisjoint(feature.needs))
        and feature.concerns in holds
    )


@rule(nb.LogicalSwitchPort)
def switch_port(lsp: nb.LogicalSwitchPort) -> Iterable[Fact]:
    """Yield the facts of every feature about a switch port."""
    switches = lsp.referrers(nb.LogicalSwitch.ports)
    if not switches:
        return ()
    port = SwitchPort(lsp, switches[0])
    parts = [hook(port) for hook in port_hooks(port)]
    if len(switches) > 1:
        others = ", ".join(sorted(switch.name for switch in switches[1:]))
        text = f"port {lsp.name} is in several switches, and is left out of {others}"
        parts.append([finding(lsp, text)])
    return chain.from_iterable(parts)


def build(
    nb_store: Store,
    *,
    sb_store: Store,
    clock: Callable[[], int] = now,
    findings: CompilerFindings | None = None,
    lacking: Collection[Column[Any]] = (),
) -> Engine:
    """Make the compiler.

    Arguments:
        nb_store: the Northbound database's tables.
        sb_store: the Southbound database's tables, already filled with what is there.
        clock: gives the time in milliseconds, for the timestamps in NB_Global and the ageing of what chassis learned.
        findings: collects and logs what is wrong with Northbound.
        lacking: columns that the servers lack; without datapath groups, each datapath gets flows of its own.

    Returns:
        An engine to run, whose outputs are those of all features.
    """
    settings = [setting for feature in FEATURES for setting in feature.settings]
    private = sb.ChassisPrivate.nb_cfg not in lacking
    features = (*FEATURES, status(settings, Changes(nb_store, southbound=sb_store, clock=clock), private=private))
    rules = [each for feature in features for each in feature.rules]
    substitutes = [more for feature in features for column, more in feature.substitutes.items() if column in lacking]
    engine = Engine([nb_store, sb_store], [*rules, *chain(*substitutes), switch_port], clock)
    (findings if findings is not None else CompilerFindings()).observe(engine)
    for feature in features:
        if feature.start is not None:
            feature.start(engine, nb_store, sb_store)
    for rows, members in outputs(features).items():
        store = nb_store if rows.row_class in nb.ROWS else sb_store
        engine.bind(rows, store, *members, lacking=lacking)
    return engine


def outputs(features: Iterable[Feature]) -> dict[Rows[Any], tuple[Members[Any, Any], ...]]:
    """Return the tables that features write, and the set columns in them; a table comes after those it depends on."""
    written = dict.fromkeys(chain(GROUP_RELATIONS, *(feature.outputs for feature in features)))
    rows = [each for each in written if isinstance(each, Rows)]
    left = [row_class for row_class in LEFT_BEHIND if not any(each.row_class is row_class for each in rows)]
    rows += [KeyRows(row_class) for row_class in left]
    rows.append(LOGICAL_FLOW)
    return {each: tuple(m for m in written if isinstance(m, Members) and m.rows is each) for each in rows}
