"""`ovenbird down`: remove a cloud network, running or crashed."""

from pathlib import Path

import click

from ovenbird.cli.options import rundir_option
from ovenbird.lab.errors import NotRunningError
from ovenbird.lab.lab import Lab
from ovenbird.lab.layout import Layout
from ovenbird.lab.process import marked
from ovenbird.lab.requirements import check


@click.command("down")
@rundir_option
def command(rundir: Path) -> None:
    """Remove the cloud with all its processes, namespaces and files; without one, do nothing and exit with 0."""
    check()
    try:
        lab = Lab.open(rundir)
    except NotRunningError as nothing:
        if not marked(rundir.absolute()):
            click.echo(str(nothing))
            return
        lab = Lab(Layout.make(rundir))  # the lab's record was removed, but its processes may still run
    for space in lab.down():
        click.echo(f"the namespace {space.name} is not removed: it {space.whose()}", err=True)
    click.echo(f"the cloud in {rundir} is removed")
