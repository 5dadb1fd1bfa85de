"""The commands about logs that every daemon has (ovs-appctl(8), "Logging Commands")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon.logs import LEVELS
from ovenbird.daemon.unixctl import UnixctlError

if TYPE_CHECKING:
    from ovenbird.daemon.logs import Logs
    from ovenbird.daemon.unixctl import Unixctl

MOST_WORDS = 64
"""Maximum specifications or modules of one command."""


def register(unixctl: Unixctl, logs: Logs) -> None:
    """Register them."""

    def set_levels(specs: list[str]) -> str:
        for spec in specs or ("dbg",):
            logs.set(spec, known=True)
        return ""

    def close(_: list[str]) -> str:
        logs.close_file()
        return ""

    def reopen(_: list[str]) -> str:
        if logs.file is None:
            raise UnixctlError("Logging to file not configured")
        logs.reopen()
        return ""

    def limit(modules: list[str]) -> str:
        logs.limit(modules, limited=True)
        return ""

    def unlimit(modules: list[str]) -> str:
        logs.limit(modules, limited=False)
        return ""

    unixctl.register("vlog/set", set_levels, "{spec | PATTERN:destination:pattern}", 0, MOST_WORDS)
    unixctl.register("vlog/list", lambda _: logs.show())
    unixctl.register("vlog/list-pattern", lambda _: logs.show_patterns())
    unixctl.register("vlog/list-levels", lambda _: " ".join(LEVELS) + "\n")
    unixctl.register("vlog/close", close)
    unixctl.register("vlog/reopen", reopen)
    unixctl.register("vlog/enable-rate-limit", limit, "[module]...", 0, MOST_WORDS)
    unixctl.register("vlog/disable-rate-limit", unlimit, "[module]...", 0, MOST_WORDS)
