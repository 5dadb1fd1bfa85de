"""A newer OVN than Debian's 23.03 beside ours, where a directory with its programs is named by OVENBIRD_NEWER_OVN."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from ovenbird.model import sb
from support.northd.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY = os.environ.get("OVENBIRD_NEWER_OVN")
"""The directory of a release whose schemas are ours, 25.03."""


class NewerOracle(Oracle):
    """The compilers of both beside each other on one Northbound, with `theirs` filled and traced by the newer one."""

    def __init__(self, directory: Path) -> None:
        assert DIRECTORY is not None
        super().__init__(directory)
        self.environment["PATH"] = f"{DIRECTORY}:{self.environment['PATH']}"

    def start(self, *, beside_theirs: bool = True) -> None:
        """Start the programs."""
        super().start(beside_theirs=False)
        if beside_theirs:
            written = self.path("theirs.ovsschema")
            written.write_text(json.dumps(sb.schema().to_json()))
            self._server("theirs", written)
            self.theirs = self._client("theirs", "OVN_Southbound")
            self.start_northd("theirs")
            self.nbctl("sync")
