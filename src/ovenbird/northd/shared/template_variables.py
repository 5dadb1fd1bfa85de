"""Template variables: the values of `^NAME` on each chassis, which the chassis put into their flows themselves.

ovn-nb(5), Chassis_Template_Var.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.rules import rule
from ovenbird.model import nb, sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.feature import Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation


class TemplateVariablesRow(NamedTuple):
    """The variables of a chassis."""

    relation: Relation
    chassis: str
    variables: tuple[tuple[str, str], ...]


TEMPLATE_VARIABLES = NamedRows(sb.ChassisTemplateVar, TemplateVariablesRow, key=sb.ChassisTemplateVar.chassis)


@rule(nb.ChassisTemplateVar)
def template_variables(row: nb.ChassisTemplateVar) -> Iterator[Fact]:
    """Yield the variables of a chassis in Southbound."""
    yield TEMPLATE_VARIABLES(chassis=row.chassis, variables=tuple(sorted(row.variables.items())))


FEATURE = Feature("template_variables", rules=(template_variables,), outputs=(TEMPLATE_VARIABLES,))
