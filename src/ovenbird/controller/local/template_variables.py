"""The template variables of this chassis, from Southbound's Chassis_Template_Var."""

from __future__ import annotations

from ovenbird.controller.local.settings import settings
from ovenbird.engine.lookups import find
from ovenbird.engine.views import view
from ovenbird.lang.template_variables import expand
from ovenbird.model.sb import ChassisTemplateVar


@view
def variable(name: str) -> str | None:
    """Return the value of a variable on this chassis; None if it has none.

    A reader depends on this variable only, not on the others.
    """
    row = find(ChassisTemplateVar.chassis, settings().chassis)
    return row.variables.get(name) if row is not None else None


def expanded(text: str) -> str:
    """Return a text with the values of its variables.

    Raises:
        LexError: they are too long.
    """
    return expand(text, variable)
