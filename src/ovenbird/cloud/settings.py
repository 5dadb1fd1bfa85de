"""Findings about settings that were written into Cloud without validation and have no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.model.cloud import CloudGlobal
from ovenbird.model.settings import complaints

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact


@rule(CloudGlobal)
def ineffective_settings(row: CloudGlobal) -> Iterator[Fact]:
    """Yield a finding for each setting that is none, or has a value that is none."""
    for text in complaints(row.options):
        yield finding(row, text)
