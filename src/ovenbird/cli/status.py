"""`ovenbird status`: what runs where, and what is wrong."""

import json
from pathlib import Path

import click

from ovenbird.cli.options import rundir_option
from ovenbird.lab.lab import Lab
from ovenbird.lab.status import Status


@click.command("status")
@rundir_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(rundir: Path, as_json: bool) -> None:
    """Show what runs where, and each problem in a line. The exit status is 0 if there is none.

    Asked are processes, namespaces and their links, the databases for a transaction, the API, switches and their
    tunnels, whether packets go from one host to the next, whether northd, controllers and metadata services acknowledge
    a new number of Northbound (nb_cfg), and instances for their ports and addresses. What does not answer within 3
    seconds is named.
    """
    status = Status.examined(Lab.open(rundir))
    if as_json:
        click.echo(json.dumps(status.to_json(), indent=2))
    else:
        from ovenbird.cli import screen, tables  # noqa: PLC0415 - programs that read JSON need not wait for rich

        tables.show(screen.cloud(status))
    raise SystemExit(0 if status.healthy else 1)
