"""Explanations of logical flows in words, given by the features of northd, for programs that explain a packet's fate.

A flow that was made for a Northbound row carries the first eight digits of that row's UUID (`stage-hint`,
ovn-northd(8)). A feature lists the tables of those rows, and describes a row in words. For a flow that drops packets
and was made for no row, the feature gives the reason of the drop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.engine.rows import ReferenceOf, Row


@dataclass(frozen=True, slots=True)
class HintedTable:
    """A table for whose rows flows are made.

    Arguments:
        row_class: the table.
        sentence: returns a row in words and, as a second text, the packets that it concerns; if None, the row's name
            is shown.
        owners: the columns that refer to rows without a name from the rows that own them.
    """

    row_class: type[Row]
    sentence: Callable[[Any], tuple[str, str]] | None = None
    owners: tuple[ReferenceOf[Row, Any, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Explanations:
    """The explanations of the features' flows.

    Arguments:
        tables: the tables for whose rows flows are made.
        drops: the reason of a drop by a flow that was made for no row, by the stage's name and the flow's priority
            (None for any).
    """

    tables: tuple[HintedTable, ...] = ()
    drops: Mapping[tuple[str, int | None], str] = field(default_factory=dict)


NOTHING = Explanations()
"""No explanations, for callers without features."""
