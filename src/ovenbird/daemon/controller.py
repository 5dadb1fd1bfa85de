"""`ovenbird controller`: program one hypervisor's switch, with the command line and commands of ovn-controller(8)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ovenbird.controller.controller import Controller
from ovenbird.controller.errors import NotHereError
from ovenbird.controller.logical_flows.action_context import GROUPS
from ovenbird.controller.logical_flows.meters import METER_IDS as METERS
from ovenbird.daemon import tls
from ovenbird.daemon.database_options import local_database
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import system_id_override, value
from ovenbird.daemon.process import Daemon
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.lang.errors import LangError
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovenbird.daemon.unixctl import Unixctl
    from ovenbird.engine.ids import Pool

OPTIONS = {"chassis": value("NAME", text="the chassis's name, instead of system-id and of the file system-id-override")}

USAGE = Usage(
    summary="program the local Open vSwitch from OVN's Southbound database, as ovn-controller(8) does",
    synopsis="[OPTION]... [OVS-DATABASE]",
    about="""\
where OVS-DATABASE is the local ovsdb-server (unix:RUNDIR/db.sock). The rest of the configuration is there, in
external_ids of Open_vSwitch: system-id, ovn-remote, ovn-encap-type, ovn-encap-ip, ovn-bridge-mappings and others.""",
    notes="""\
At SIGTERM and SIGINT everything stays as it is for the next controller: flows, tunnels, the chassis and its bindings.
The command `exit` takes chassis, bindings and tunnels away; `exit --restart` leaves them too.""",
)


def register(unixctl: Unixctl, controller: Controller) -> None:
    """Register the commands of ovn-controller(8)."""

    def doing(action: Callable[[], None]) -> Callable[[list[str]], str]:
        def command(_: list[str]) -> str:
            action()
            return ""

        return command

    def inject(arguments: list[str]) -> str:
        try:
            controller.inject(arguments[0])
        except (LangError, NotHereError, PacketError) as error:
            raise UnixctlError(str(error)) from error
        return ""

    def variables(_: list[str]) -> str:
        found = [f"name: '{name}' value: '{value}'\n" for name, value in controller.template_variables()]
        return "".join(["Local template vars:\n", *found])

    def numbers(pool: Pool) -> Callable[[list[str]], str]:
        return lambda _: "".join(f"{name}: {number}\n" for name, number in controller.numbers(pool))

    unixctl.register("inject-pkt", inject, "MICROFLOW", 1)
    unixctl.register("meter-table-list", numbers(METERS))
    unixctl.register("group-table-list", numbers(GROUPS))
    unixctl.register("findings/list", lambda _: "".join(f"{text}\n" for text in controller.notices))
    unixctl.register("connection-status", lambda _: "connected\n" if controller.connected else "not connected\n")
    unixctl.register("recompute", doing(controller.recompute))
    unixctl.register("inc-engine/recompute", doing(controller.recompute))
    unixctl.register("debug/pause", doing(controller.pause))
    unixctl.register("debug/resume", doing(controller.resume))
    unixctl.register("debug/status", lambda _: "paused\n" if controller.paused else "running\n")
    unixctl.register("debug/dump-local-template-vars", variables)
    unixctl.register("ct-zone-list", lambda _: "".join(f"{name} {zone}\n" for name, zone in controller.zone_list()))


async def serve(daemon: Daemon) -> None:
    """Run until told to stop.

    Raises:
        UsageError: an option or the operand is invalid.
    """
    controller = Controller(
        local_database(daemon.options),
        system_id=daemon.options.last("chassis") or system_id_override(),
        keys=tls.given(daemon.options),
    )
    register(daemon.unixctl, controller)
    daemon.ready()
    running = asyncio.ensure_future(controller.run())
    stop = asyncio.ensure_future(daemon.stopping.wait())
    try:
        await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        else:
            given = daemon.exit_arguments
            await controller.close(restart=given is None or "--restart" in given)
            await running
    finally:
        stop.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def daemon() -> Daemon:
    """Return the daemon."""
    return Daemon(
        "controller",
        program="ovn-controller",
        kind="ovn",
        own=OPTIONS,
        usage=USAGE,
        main=serve,
        short={"-n": "chassis"},
        operands=True,
        exit_options=("--restart",),
    )


def main(argv: Sequence[str]) -> int:
    """Run `ovenbird controller` with these arguments and return its exit status."""
    return daemon().run(list(argv))
