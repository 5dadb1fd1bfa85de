"""The table of commands: name, module, and the line that `--help` shows, so that help imports no module."""

import importlib
from collections.abc import Mapping

import click

from ovenbird import __version__
from ovenbird.cli.daemons import DAEMONS

COMMANDS = {
    "up": "Start a cloud network on this machine.",
    "down": "Remove that cloud, also one that has crashed.",
    "status": "Show what runs where, and each problem.",
    "lab": "Boot, enter and delete instances; add hypervisors.",
    "settings": "Show and change the cloud's settings.",
    "trace": "Show what happens to a packet, and why.",
}
"""Commands for people: each the `command` of the module of its name in this package."""


class LazyGroup(click.Group):
    """A group of commands that are imported when they are called.

    Arguments:
        name: of the group.
        text: what help says of it.
        members: name to the line that help shows.
        daemons: names of daemons and their lines, for help alone: `main` has started them before click is imported.
    """

    def __init__(self, name: str, *, text: str, members: Mapping[str, str], daemons: Mapping[str, str]) -> None:
        super().__init__(name, help=text, context_settings={"help_option_names": ["-h", "--help"]})
        self._members = members
        self._daemons = daemons

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names, in the order of the table."""
        del ctx
        return list(self._members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in self._members:
            return None
        command: click.Command = importlib.import_module(f"ovenbird.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' lines without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(self._members.items()))
        if self._daemons:
            with formatter.section("Daemons, which take the originals' options"):
                formatter.write_dl(list(self._daemons.items()))


ovenbird = click.version_option(__version__, prog_name="ovenbird")(
    LazyGroup("ovenbird", text="Ovenbird: a complete virtual network for clouds.", members=COMMANDS, daemons=DAEMONS)
)
