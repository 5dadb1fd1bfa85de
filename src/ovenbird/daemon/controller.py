"""`ovenbird controller`: program one hypervisor's switch, with the command line and commands of ovn-controller(8)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from ovenbird.controller.controller import Controller
from ovenbird.controller.errors import NotHereError
from ovenbird.daemon import tls
from ovenbird.daemon.counter_commands import database_memory, engine_memory
from ovenbird.daemon.database_options import local_database
from ovenbird.daemon.engine_commands import doing, register_engine, showing, unsigned
from ovenbird.daemon.help import Usage
from ovenbird.daemon.options import system_id_override, value
from ovenbird.daemon.process import Daemon
from ovenbird.daemon.unixctl import UnixctlError
from ovenbird.lang.errors import LangError
from ovenbird.lang.text_cache import forget_all, show_caches
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTIONS = {"chassis": value("NAME", text="the chassis's name, instead of system-id and of the file system-id-override")}

USAGE = Usage(
    summary="program the local Open vSwitch from OVN's Southbound database, as ovn-controller(8) does",
    synopsis="[OPTION]... [OVS-DATABASE]",
    about="""\
where OVS-DATABASE is the local ovsdb-server (unix:RUNDIR/db.sock). external_ids of its table Open_vSwitch has the rest
of the configuration: system-id, ovn-remote, ovn-encap-type, ovn-encap-ip, ovn-bridge-mappings and others.""",
    notes="""\
At SIGTERM and SIGINT the controller leaves flows, tunnels, the chassis and its bindings for its successor. The command
`exit` removes chassis, bindings and tunnels; `exit --restart` leaves them as well.""",
)


def register(daemon: Daemon, controller: Controller) -> None:
    """Register the commands of ovn-controller(8)."""
    unixctl = daemon.unixctl

    def inject(arguments: list[str]) -> str:
        try:
            controller.inject(arguments[0])
        except (LangError, NotHereError, PacketError) as error:
            raise UnixctlError(str(error)) from error
        return ""

    def variables(_: list[str]) -> str:
        found = [f"name: '{name}' value: '{value}'\n" for name, value in controller.template_variables()]
        return "".join(["Local template vars:\n", *found])

    def delay(arguments: list[str]) -> str:
        seconds = controller.host.report_delay = unsigned(arguments[0])
        return f"delay nb_cfg report for {seconds} seconds.\n" if seconds else "no delay for nb_cfg report.\n"

    listings = {
        "ct-zone-list": lambda: "".join(f"{name} {zone}\n" for name, zone in controller.zone_list()),
        "meter-table-list": controller.show_meters,
        "group-table-list": controller.show_groups,
        "findings/list": lambda: "".join(f"{text}\n" for text in controller.notices),
        "connection-status": lambda: "connected\n" if controller.connected else "not connected\n",
        "lflow-cache/show-stats": show_caches,
        "debug/status": lambda: "paused\n" if controller.paused else "running\n",
        "debug/dump-local-bindings": controller.show_bindings,
        "debug/dump-related-ports": controller.show_related_ports,
        "debug/dump-peer-ports": controller.show_peer_ports,
        "debug/dump-mac-bindings": controller.show_mac_bindings,
        "debug/dump-lflow-conj-ids": controller.show_conjunctions,
    }
    for name, show in listings.items():
        unixctl.register(name, showing(show))
    actions = {
        "recompute": controller.recompute,
        "debug/pause": controller.pause,
        "debug/resume": controller.resume,
        "lflow-cache/flush": forget_all,
        "flush-lflow-cache": forget_all,
        "sb-cluster-state-reset": controller.start_over,
    }
    for name, action in actions.items():
        unixctl.register(name, doing(action))
    unixctl.register("inject-pkt", inject, "MICROFLOW", 1)
    unixctl.register("debug/dump-local-template-vars", variables)
    unixctl.register("debug/delay-nb-cfg-report", delay, "SECONDS", 1)
    unixctl.refuse(
        ("debug/ignore-startup-delay",),
        "nothing waits for a time at the start: the switch keeps its flows until their replacements are complete",
    )
    register_engine(unixctl, controller.host.rule_counters, controller.recompute)
    daemon.memory += [
        lambda: database_memory(*controller.databases),
        lambda: engine_memory(controller.engine),
        lambda: controller.memory,
    ]


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
    register(daemon, controller)
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
