"""Options that several commands share."""

from pathlib import Path

import click

from ovenbird.lab.layout import default_rundir

rundir_option = click.option(
    "--rundir",
    type=click.Path(file_okay=False, path_type=Path),
    default=default_rundir,
    help="The cloud's run directory (the environment variable OVENBIRD_RUNDIR, or /run/ovenbird).",
)
"""The run directory of the cloud that a command is about."""
