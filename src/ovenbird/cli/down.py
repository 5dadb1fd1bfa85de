"""`ovenbird down`: remove a cloud network, running or crashed."""

from pathlib import Path

import click

from ovenbird.cli.options import rundir_option
from ovenbird.lab.errors import NotRunningError
from ovenbird.lab.lab import Lab
from ovenbird.lab.requirements import check


@click.command("down")
@rundir_option
def command(rundir: Path) -> None:
    """Remove the cloud network: every process, namespace and file of it, also after a crash. To find none is fine."""
    check()
    try:
        lab = Lab.open(rundir)
    except NotRunningError as nothing:
        click.echo(str(nothing))
        return
    for space in lab.down():
        click.echo(f"the namespace {space.name} stays: it {space.whose()}", err=True)
    click.echo(f"the cloud in {rundir} is gone")
