"""The commands about counters, stopwatches and memory that every daemon has (ovsdb-server(1), "Coverage Commands")."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.counters import coverage, stopwatch
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.ovsdb.errors import Disconnected

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Mapping

    from ovenbird.daemon.unixctl import Unixctl
    from ovenbird.engine.engine import Engine
    from ovenbird.engine.rows import Store
    from ovenbird.ovsdb.transaction import Client

_PAGE = resource.getpagesize()


def register(unixctl: Unixctl, memory: Iterable[Callable[[], Mapping[str, int]]]) -> None:
    """Register them.

    Arguments:
        unixctl: where.
        memory: return the figures of `memory/show` that the daemon adds, by name.
    """

    def show_memory(_: list[str]) -> str:
        figures = {"resident-KB": resident() // 1024}
        for each in memory:
            figures |= each()
        return " ".join(f"{name}:{figure}" for name, figure in sorted(figures.items())) + "\n"

    def read(arguments: list[str]) -> str:
        count = coverage.read(arguments[0])
        if count is None:
            raise UnixctlError("No such counter")
        return f"{count}\n"

    def show_times(arguments: list[str]) -> str:
        shown = stopwatch.show(*arguments)
        if shown is None:
            raise UnixctlError("No such stopwatch")
        return shown

    def reset_times(arguments: list[str]) -> str:
        stopwatch.reset(*arguments)
        return ""

    unixctl.register("coverage/show", lambda _: coverage.show())
    unixctl.register("coverage/read-counter", read, "COUNTER", 1)
    unixctl.register("memory/show", show_memory)
    unixctl.register("stopwatch/show", show_times, "[NAME]", 0, 1)
    unixctl.register("stopwatch/reset", reset_times, "[NAME]", 0, 1)


def take_samples(loop: asyncio.AbstractEventLoop) -> None:
    """Note the counts of all counters again and again, as long as the loop runs."""
    coverage.sample()
    loop.call_later(coverage.SECONDS, take_samples, loop)


def resident() -> int:
    """Return the bytes of memory that this process has now; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0


def cells(store: Store) -> int:
    """Return how many values the rows of a store have."""
    return sum(len(table.rows) * len(table.row_class.COLUMNS) for table in store.tables.values())


def database_memory(*clients: Client) -> dict[str, int]:
    """Return how many values each database has that is followed, as OVN's daemons call it."""
    stores = []
    for each in clients:
        with contextlib.suppress(Disconnected):  # one that has not been reached yet has none
            stores.append(each.store)
    return {f"idl-cells-{store.name}": cells(store) for store in stores}


def engine_memory(engine: Engine | None) -> dict[str, int]:
    """Return what an engine keeps: facts, and views with their values."""
    return {"engine-facts": len(engine.owners), "engine-views": len(engine.memo)} if engine is not None else {}
