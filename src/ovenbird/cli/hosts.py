"""`ovenbird lab host`: add, kill, start and list the hypervisors of a running lab."""

from pathlib import Path

import click

from ovenbird.cli import screen
from ovenbird.cli.options import rundir_option
from ovenbird.cli.tables import show
from ovenbird.lab.lab import Lab
from ovenbird.lab.requirements import check
from ovenbird.lab.status import Status


@click.group("host")
def host() -> None:
    """Add, kill, start and list hypervisors."""


@host.command("add")
@click.argument("name")
@click.option("--gateway", is_flag=True, help="Connect it to the external network.")
@rundir_option
def add(name: str, gateway: bool, rundir: Path) -> None:
    """Add a hypervisor to the running cloud."""
    added = Lab.open(rundir).add_host(name, gateway=gateway)
    click.echo(f"{added.name} runs in namespace {added.namespace.name} with tunnel address {added.encap_address}")


@host.command("kill")
@click.argument("name")
@rundir_option
def kill(name: str, rundir: Path) -> None:
    """Kill a hypervisor's switch and controller, as a power failure does."""
    check()
    Lab.open(rundir).kill_host(name)
    click.echo(f"{name} is killed")


@host.command("start")
@click.argument("name")
@rundir_option
def start(name: str, rundir: Path) -> None:
    """Start a killed hypervisor again."""
    check()
    Lab.open(rundir).start_host(name)
    click.echo(f"{name} runs again")


@host.command("list")
@rundir_option
def list_hosts(rundir: Path) -> None:
    """List the hypervisors."""
    show(screen.hosts(Status.of(Lab.open(rundir))))
