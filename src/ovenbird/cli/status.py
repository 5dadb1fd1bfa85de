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
    """Show what runs where, and one line for each problem. The exit status is 0 without problems, else 1.

    The command checks processes, namespaces and their links, whether each database executes a transaction, the API,
    switches and their tunnels, whether packets reach each host from the next, whether northd, controllers and metadata
    services acknowledge a new number in Northbound (nb_cfg), and whether instances have their ports and addresses. A
    part that does not answer within 3 seconds is a problem.
    """
    status = Status.examined(Lab.open(rundir))
    if as_json:
        click.echo(json.dumps(status.to_json(), indent=2))
    else:
        from ovenbird.cli import screen, tables  # noqa: PLC0415 - programs that read JSON need not wait for rich

        tables.show(screen.cloud(status))
    raise SystemExit(0 if status.healthy else 1)
