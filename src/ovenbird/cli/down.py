"""`ovenbird down`: remove a cloud network, running or crashed."""

from pathlib import Path

import click

from ovenbird.cli.options import rundir_option
from ovenbird.lab.lab import Lab
from ovenbird.lab.requirements import check


@click.command("down")
@rundir_option
def command(rundir: Path) -> None:
    """Remove the cloud network: every process, namespace and file of it, also after a crash."""
    check()
    Lab.open(rundir).down()
    click.echo(f"the cloud in {rundir} is gone")
