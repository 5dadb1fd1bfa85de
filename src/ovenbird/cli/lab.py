"""`ovenbird lab`: boot, enter, delete and list instances."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import click

from ovenbird.cli import screen
from ovenbird.cli.hosts import host
from ovenbird.cli.options import rundir_option
from ovenbird.cli.tables import show
from ovenbird.lab.lab import Lab
from ovenbird.lab.requirements import check, environment
from ovenbird.lab.status import Status
from ovenbird.metadata.instance_userdata import InstanceUserdata, UserdataStore


@click.group("lab")
def command() -> None:
    """Boot, enter, list and delete instances: network namespaces that stand for virtual machines."""


command.add_command(host)


@command.command("boot", short_help="Boot an instance and wait until it is ACTIVE.")
@click.argument("name")
@click.option("--network", required=True, help="The network's name or id.")
@click.option("--host", help="The hypervisor; by default the one with the fewest instances.")
@click.option("--security-group", "groups", multiple=True, help="A group's name or id; by default the default group.")
@click.option("--hostname", help="The host name in its metadata; by default NAME.")
@click.option("--key", type=click.File("r"), help="A file with a public key for its metadata.")
@click.option("--user-data", type=click.File("rb"), help="A file with user data for its metadata.")
@rundir_option
def boot(
    name: str,
    network: str,
    host: str | None,
    groups: tuple[str, ...],
    hostname: str | None,
    key: TextIO | None,
    user_data: BinaryIO | None,
    rundir: Path,
) -> None:
    """Boot an instance, and return when it has its address and its port is ACTIVE."""
    check()
    lab = Lab.open(rundir)
    keys = {Path(key.name).stem: key.read().strip()} if key is not None else {}
    given = InstanceUserdata(hostname or name, keys, user_data.read() if user_data is not None else None)
    # Recorded before the boot: the instance requests its metadata as soon as it has an address.
    instance = lab.boot(
        name,
        network=network,
        host=host,
        security_groups=groups,
        record=_recorded(UserdataStore(lab.layout.boots), f"lab-{name}", given),
    )
    member = (
        f"security group {', '.join(groups)}"
        if groups
        else "the default security group, which permits traffic from its own members only"
    )
    click.echo(f"{instance.name} runs on {instance.host} with {instance.address or 'no address'}, in {member}")


@contextmanager
def _recorded(store: UserdataStore, device: str, userdata: InstanceUserdata) -> Iterator[None]:
    """Write an instance's userdata for its boot, and remove it if the boot fails."""
    store.put(device, userdata)
    try:
        yield
    except BaseException:
        store.remove(device)
        raise


@command.command(
    "exec",
    short_help="Run a command in an instance.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("name")
@click.argument("argv", metavar="-- COMMAND", nargs=-1, required=True, type=click.UNPROCESSED)
@rundir_option
def execute(name: str, argv: tuple[str, ...], rundir: Path) -> None:
    """Run a command in an instance. Options of `exec` come before the instance's name."""
    check()
    command_line = argv[1:] if argv[0] == "--" else argv
    if not command_line:
        raise click.UsageError("no command is given")
    if command_line[0].startswith("-"):
        raise click.UsageError(f"{command_line[0]} is not a command: options of `exec` come before the instance's name")
    line = Lab.open(rundir).instance(name).namespace.enter(*command_line)
    os.execvpe(line[0], line, environment())  # noqa: S606 - the command takes this process's place, terminal and exit status


@command.command("delete")
@click.argument("name")
@rundir_option
def delete(name: str, rundir: Path) -> None:
    """Delete an instance and its port."""
    check()
    lab = Lab.open(rundir)
    lab.delete(name)
    UserdataStore(lab.layout.boots).remove(f"lab-{name}")
    click.echo(f"{name} is deleted")


@command.command("list")
@rundir_option
def list_instances(rundir: Path) -> None:
    """List the instances."""
    show(screen.instances(Status.of(Lab.open(rundir))))
