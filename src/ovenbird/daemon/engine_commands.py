"""The commands of daemons that run an engine: `inc-engine/…` (ovn-northd(8), ovn-controller(8)), `pause`, `status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon.counter_commands import engine_memory
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.model.options import INT
from ovenbird.net.numbers import integer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.daemon.process import Daemon
    from ovenbird.daemon.unixctl import Command, Unixctl
    from ovenbird.driver.engine_driver import ActiveStandbyDriver, EngineDriver
    from ovenbird.driver.rule_counters import RuleCounters
    from ovenbird.ovsdb.transaction import Client


def doing(action: Callable[[], object]) -> Command:
    """Return a command that does something and says nothing."""

    def command(_: list[str]) -> str:
        action()
        return ""

    return command


def showing(show: Callable[[], str]) -> Command:
    """Return a command without arguments that says something."""
    return lambda _: show()


def unsigned(text: str) -> int:
    """Return the number that a command was given.

    Raises:
        UnixctlError: it is none.
    """
    number = integer(text, high=INT)
    if number is None:
        raise UnixctlError("unsigned integer required")
    return number


def register_engine(unixctl: Unixctl, counters: RuleCounters, recompute: Callable[[], None]) -> None:
    """Register the commands about an engine.

    Arguments:
        unixctl: where.
        counters: of the engine's rules and views.
        recompute: compares everything again.
    """

    def compute_log(arguments: list[str]) -> str:
        counters.log_from = unsigned(arguments[0])
        return ""

    def show(arguments: list[str]) -> str:
        counter = arguments[1] if len(arguments) > 1 else None
        return counters.show(*arguments[:1], counter=counter)

    unixctl.register("inc-engine/show-stats", show, "[NODE [COUNTER]]", 0, 2)
    unixctl.register("inc-engine/clear-stats", doing(counters.clear))
    unixctl.register("inc-engine/compute-log-timeout", compute_log, "MILLISECONDS", 1)
    unixctl.register("inc-engine/recompute", doing(recompute))


def register_driver(daemon: Daemon, driver: EngineDriver) -> None:
    """Register the commands about a driver's engine, and show its memory."""
    register_engine(daemon.unixctl, driver.rule_counters, driver.recompute)
    daemon.memory.append(lambda: engine_memory(driver.engine))


def register_standby(unixctl: Unixctl, driver: ActiveStandbyDriver) -> None:
    """Register the commands of a daemon of which one is active (ovn-northd(8), ovn-ic(8))."""
    unixctl.register("pause", doing(driver.step_back))
    unixctl.register("resume", doing(driver.step_forth))
    unixctl.register("is-paused", lambda _: "true\n" if driver.paused else "false\n")
    unixctl.register("status", lambda _: f"Status: {driver.status}\n")


def register_connection(unixctl: Unixctl, name: str, client: Client) -> None:
    """Register the command that says whether a database is connected.

    Arguments:
        unixctl: where.
        name: the command's.
        client: the database.
    """
    unixctl.register(name, lambda _: "connected\n" if client.connected else "not connected\n")
