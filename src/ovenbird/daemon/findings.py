"""`findings/list`, a command of every daemon that compiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovenbird.daemon.unixctl import Unixctl
    from ovenbird.northd.findings import CompilerFindings


def list_findings(unixctl: Unixctl, *findings: CompilerFindings) -> None:
    """Register `findings/list`: rows without effect, and why."""
    unixctl.register("findings/list", lambda _: "".join(f"{text}\n" for some in findings for text in some))
