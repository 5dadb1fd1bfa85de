"""The internal version: whether a northd and a controller understand each other's logical flows.

northd writes it into SB_Global.options:northd_internal_version; a controller with
`external_ids:ovn-match-northd-version=true` processes no changes while it differs from its own (ovn-controller(8)). It
is incremented with every change that makes the two incompatible.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.model import sb

if TYPE_CHECKING:
    from ovenbird.engine.rows import Store

INTERNAL = "ovenbird-1"

log = logging.getLogger(__name__)


class NorthdVersion:
    """The version of the northd that wrote a Southbound, against this program's own.

    Arguments:
        program: the name of this program, for the log.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._differs = False

    def differs(self, southbound: Store, *, matters: bool) -> bool:
        """Return whether changes have to wait for a northd of this version; each turn is logged once.

        Arguments:
            southbound: the rows of that Southbound.
            matters: whether `ovn-match-northd-version` is set; otherwise nothing waits.
        """
        head = next(iter(southbound.table(sb.SBGlobal).rows.values()), None)
        theirs = head.options.get("northd_internal_version", "") if head is not None else ""
        before, self._differs = self._differs, matters and theirs != INTERNAL
        if self._differs and not before:
            log.warning("%s version - %s mismatch with northd version - %s", self._program, INTERNAL, theirs)
        elif before and not self._differs:
            log.info("changes are processed again: northd is of version %s", theirs or "unknown")
        return self._differs
