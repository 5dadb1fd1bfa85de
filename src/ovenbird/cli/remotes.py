"""The locations of a cloud's databases, and the TLS keys for them.

The command line takes precedence over the environment, and the environment over the databases that this host serves.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ovenbird.lab.errors import NotRunningError
from ovenbird.lab.lab import Lab
from ovenbird.lab.layout import DEFAULT_RUNDIR
from ovenbird.ovsdb.tls_keys import KeyFiles, TlsKeys
from ovenbird.sockets.run_directory import run_directory

NAMES = {"nb": "Northbound", "sb": "Southbound", "cloud": "Cloud"}
"""The databases' names, by those of their sockets in a run directory."""


def named(option: str, *, remote: str | None) -> str | None:
    """Return an option's value; None if it is from the environment and the command line gives a run directory.

    Arguments:
        option: its name among the command's parameters.
        remote: its value, from the command line or the environment.
    """
    source = click.get_current_context().get_parameter_source
    if source("rundir") is ParameterSource.COMMANDLINE and source(option) is not ParameterSource.COMMANDLINE:
        return None
    return remote


def chosen(remote: str | None, *, database: str, rundir: Path) -> str:
    """Return the remote of the database for a command's `--db`.

    Arguments:
        remote: the option's value, from the command line or the environment.
        database: `nb`, `sb` or `cloud`.
        rundir: the value of `--rundir`.

    Raises:
        UsageError: the command line has both `--db` and `--rundir`.
        ClickException: no remote is given, and none is found.
    """
    remote = named("db", remote=remote)
    source = click.get_current_context().get_parameter_source
    if remote and source("rundir") is ParameterSource.COMMANDLINE:
        raise click.UsageError("give one of --db and --rundir")
    return remote or found(database, rundir)


def found(database: str, rundir: Path) -> str:
    """Return the remote at which this host serves a database: that in a run directory, or else OVN's.

    Arguments:
        database: `nb`, `sb` or `cloud`.
        rundir: the value of `--rundir`.

    Raises:
        ClickException: this host does not serve it.
    """
    name = f"{database}.sock"
    try:
        return Lab.open(rundir).layout.remote(database)
    except NotRunningError:
        ovn = Path(run_directory("ovn"))
        others = (ovn / f"ovn{database}_db.sock", ovn / name) if rundir == DEFAULT_RUNDIR else ()
    places = (rundir / name, *others)  # an explicit run directory excludes the other places
    for socket in places:
        if os.access(socket, os.F_OK):
            return f"unix:{socket}"
    raise click.ClickException(f"{NAMES[database]} is not at {' or '.join(map(str, places))}: give its remote by --db")


def key_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the TLS options to a command, after all others; it gets `TlsKeys` as `keys`, None without the options."""

    def keyed(*, private_key: str | None, certificate: str | None, ca_cert: str | None, **given: Any) -> None:
        keys = None
        if private_key or certificate or ca_cert:
            if not (private_key and certificate and ca_cert):
                raise click.UsageError("TLS needs all of --private-key, --certificate and --ca-cert")
            files = KeyFiles(private_key=private_key, certificate=certificate, ca_cert=ca_cert)
            keys = TlsKeys(lambda: files)
        command(keys=keys, **given)

    keyed.__doc__ = command.__doc__
    file = click.Path(dir_okay=False)
    for option in (
        click.option("--ca-cert", "-C", type=file, help="The authority's certificate, for ssl:."),
        click.option("--certificate", "-c", type=file, help="The certificate of that key."),
        click.option("--private-key", "-p", type=file, help="The private key, for ssl:."),
    ):
        keyed = option(keyed)
    return keyed
