"""Notices: configuration of a chassis or its interfaces that has no effect, with the reason.

They are facts, so a notice exists as long as its cause. Each is logged once when it appears and once when it
disappears, however often the databases change in between; `findings/list` lists the present ones. Messages are those of
ovn-controller where it has one for the same condition. Warnings are also written to Southbound, within bounds, for the
API to show: to `external_ids:ovenbird-findings` of the chassis's row in Chassis_Private.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.controller.facts import NOTICE
from ovenbird.model import chassis_findings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.controller.facts import Notice

log = logging.getLogger("ovenbird.notices")


def warning(text: str) -> Notice:
    """Make a notice of something that has to be corrected.

    Arguments:
        text: the problem and its consequence; without a full stop.
    """
    return NOTICE(level=logging.WARNING, text=text)


def info(text: str) -> Notice:
    """Make a notice of something that may be intended, or temporary; of the same form."""
    return NOTICE(level=logging.INFO, text=text)


class Notices:
    """The present notices, each with its level."""

    __slots__ = ("_current",)

    def __init__(self) -> None:
        self._current: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        """Yield the notices in the order of their text."""
        return iter(sorted(self._current))

    @property
    def findings(self) -> str:
        """The warnings in Southbound's form: a JSON list; empty if there are none."""
        texts = sorted(text for text, level in self._current.items() if level >= logging.WARNING)
        return chassis_findings.encode(texts)

    def absorb(self, *, added: Iterable[Notice], removed: Iterable[Notice]) -> None:
        """Process the changes of a wave, and log them."""
        before = dict(self._current)
        for gone in removed:
            self._current.pop(gone.text, None)
        for notice in added:
            self._current[notice.text] = notice.level
            if notice.text not in before:
                log.log(notice.level, "%s", notice.text)
        for text in before.keys() - self._current.keys():
            log.info("resolved: %s", text)

    def forget(self) -> None:
        """Forget all notices, for an engine that has not run yet."""
        self._current.clear()
