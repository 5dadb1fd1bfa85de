"""Where the databases of a daemon are, from its command line and environment, checked before the daemon starts.

A daemon waits for a server that is not there yet; a text that is not a remote is a usage error.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ovenbird.daemon import tls
from ovenbird.daemon.errors import UsageError
from ovenbird.ovsdb.transport import lacks_remote, parse_remotes
from ovenbird.sockets.run_directory import run_directory

if TYPE_CHECKING:
    from ovenbird.daemon.options import Options


def checked(text: str, *, said: str, options: Options | None = None) -> str:
    """Check a database's remotes, and return them.

    Arguments:
        text: remotes separated by commas.
        said: the option, for the error, such as `--ovnnb-db=`.
        options: the command line, if TLS keys must be on it.

    Raises:
        UsageError: they are invalid.
    """
    if why := lacks_remote(text):
        raise UsageError(f"{said}{text}: {why}")
    if options is not None and tls.keys(options) is None and any(r.kind == "ssl" for r in parse_remotes(text)):
        raise UsageError(f"{said}{text}: TLS needs --private-key, --certificate and --ca-cert")
    return text


def database(options: Options, option: str, *, variable: str, socket: str) -> str:
    """Return the remote of a database: of the option, the environment, or its default.

    Arguments:
        options: the command line.
        option: its name, as `ovnnb-db`.
        variable: the environment variable used without it.
        socket: the name of the socket in OVN's run directory, used without both.

    Raises:
        UsageError: it is invalid.
    """
    if (given := options.last(option)) is not None:
        return checked(given, said=f"--{option}=", options=options)
    if given := os.environ.get(variable):
        return checked(given, said=f"{variable}=", options=options)
    return f"unix:{run_directory('ovn')}/{socket}"


def local_database(options: Options) -> str:
    """Return the remote of this host's Open_vSwitch database: the only operand, or its default.

    Raises:
        UsageError: there are more operands, or it is invalid.
    """
    operands = options.arguments
    if len(operands) > 1:
        raise UsageError(f"at most one database, not {len(operands)}: {' '.join(operands)}")
    return checked(operands[0], said="OVS-DATABASE ") if operands else f"unix:{run_directory('ovs')}/db.sock"
