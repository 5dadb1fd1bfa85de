"""`ovenbird up`: start a cloud network and show a demonstration of it."""

import sys
import time
from pathlib import Path

import click

from ovenbird.cli import screen, tables
from ovenbird.cli.options import rundir_option
from ovenbird.lab import demo_topology
from ovenbird.lab.errors import LabError
from ovenbird.lab.lab import Lab, Progress
from ovenbird.lab.layout import DEFAULT_HOSTS
from ovenbird.lab.requirements import check
from ovenbird.lab.status import Status
from ovenbird.model.settings import SettingError, assignments


@click.command("up")
@rundir_option
@click.option(
    "--host", "hosts", multiple=True, default=DEFAULT_HOSTS, help="The name of a hypervisor; repeat it for more."
)
@click.option("--prefix", help="The prefix of the namespaces' names.")
@click.option("--api-port", default=9696, show_default=True, help="TCP port of the API; 0 picks a free one.")
@click.option("--nb-port", default=6641, show_default=True, help="TCP port of Northbound; 0 means none.")
@click.option("--sb-port", default=6642, show_default=True, help="TCP port of Southbound; 0 means none.")
@click.option("--cloud-port", default=6643, show_default=True, help="TCP port of Cloud; 0 means none.")
@click.option("--metadata/--no-metadata", default=True, help="Whether to provide the metadata service.")
@click.option("--set", "words", metavar="NAME=VALUE", multiple=True, help="A setting of the cloud; repeat it for more.")
@click.option("--scene/--no-scene", "demo", default=True, help="Whether to create a demonstration network.")
def command(
    *,
    rundir: Path,
    hosts: tuple[str, ...],
    prefix: str | None,
    api_port: int,
    nb_port: int,
    sb_port: int,
    cloud_port: int,
    metadata: bool,
    words: tuple[str, ...],
    demo: bool,
) -> None:
    """Start a cloud network on this machine, in the background.

    The cloud has databases, compilers, the API, and hypervisors, which are network namespaces with Open vSwitch. With
    --scene the command then makes a network with two instances, which ping each other over IPv4 and IPv6, connects it
    by a router and a floating IP to a namespace that stands for the external network, and shows what the metadata
    service answers the first instance.
    """
    try:
        settings = ({"metadata": "true"} if metadata else {}) | assignments(words)
    except SettingError as error:
        raise click.UsageError(f"--set: {error}") from None
    check()
    console = tables.console()
    began = time.monotonic()
    with console.status("starting") as status:

        def progress(step: str) -> None:
            status.update(step)
            console.print(f"[dim]{time.monotonic() - began:5.1f} s  {step}[/dim]")

        lab = Lab.up(
            rundir,
            hosts,
            gateways=hosts[:1],
            settings=settings,
            prefix=prefix,
            api_port=api_port,
            nb_port=nb_port,
            sb_port=sb_port,
            cloud_port=cloud_port,
            progress=progress,
        )
        topology, demonstrations = _demonstrate(lab, progress) if demo else (None, [])
    now = Status.examined(lab)
    tables.show(screen.cloud(now))
    if topology is not None and topology.ping is not None:
        tables.show(screen.ping(topology))
    for shown in demonstrations:
        tables.show(screen.demonstration(shown))
    tables.show(screen.next_steps(now, sys.argv[0], time.monotonic() - began))


def _demonstrate(lab: Lab, progress: Progress) -> tuple[demo_topology.DemoTopology, list[demo_topology.Demonstration]]:
    """Make the demo topology; when a step fails the cloud keeps running, and the error says so."""
    try:
        topology = demo_topology.create(lab, progress)
        demonstrations = [*demo_topology.add_router(lab, topology, progress)]
        if lab.layout.metadata:
            demonstrations.append(demo_topology.ask_metadata(topology.instances[0], progress))
    except LabError as error:
        error.add_note("The cloud itself runs: `ovenbird status` shows its state, `ovenbird down` removes it.")
        raise
    return topology, demonstrations
