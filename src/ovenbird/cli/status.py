"""`ovenbird status`: what runs and where."""

import json
from pathlib import Path

import click

from ovenbird.cli.options import rundir_option
from ovenbird.lab.lab import Lab
from ovenbird.lab.status import Status


@click.command("status")
@rundir_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(rundir: Path, as_json: bool) -> None:
    """Show what runs and where. The exit status is 0 if everything that should run does."""
    status = Status.of(Lab.open(rundir))
    if as_json:
        click.echo(json.dumps(status.to_json(), indent=2))
    else:
        from ovenbird.cli import screen, sheet  # noqa: PLC0415 - programs that read JSON need not wait for rich

        sheet.console().print(screen.cloud(status))
    raise SystemExit(0 if status.healthy else 1)
