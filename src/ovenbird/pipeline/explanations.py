"""What stands behind logical flows, in words: by the features that make them, for whoever explains a packet's fate.

A flow that was made for a Northbound row carries the first eight digits of that row's UUID (`stage-hint`,
ovn-northd(8)). A feature names the tables of those rows, and says of each how a row reads. Where it drops packets by a
flow that was made for no row, it says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.engine.rows import ReferenceOf, Row


@dataclass(frozen=True, slots=True)
class HintedTable:
    """A table whose rows flows are made for.

    Arguments:
        row_class: the table.
        sentence: what a row is in words and, behind it, the packets that it is about; rows of other tables are called
            by their names.
        owners: the columns by which rows without a name belong to somebody who has one.
    """

    row_class: type[Row]
    sentence: Callable[[Any], tuple[str, str]] | None = None
    owners: tuple[ReferenceOf[Row, Any, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Explanations:
    """What features say of their flows.

    Arguments:
        tables: the tables whose rows flows are made for.
        drops: by the name of a stage and the flow's priority, None for any, why a packet ends there by a flow that was
            made for no row.
    """

    tables: tuple[HintedTable, ...] = ()
    drops: Mapping[tuple[str, int | None], str] = field(default_factory=dict)


NOTHING = Explanations()
"""What is said where no feature is at hand."""
