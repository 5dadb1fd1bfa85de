"""The entry point: user commands are parsed by click; daemons receive their command line unchanged.

Invariant: only modules that the command needs are imported; `ovenbird --help` and the start of a daemon cost no more
than the interpreter and click, or the interpreter alone.
"""

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from ovenbird.cli.daemons import DAEMONS, run_daemon


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run `ovenbird` and exit.

    Arguments:
        argv: the command line without the program; None takes this process's own.
    """
    line = list(sys.argv[1:] if argv is None else argv)
    if line and line[0] in DAEMONS:
        sys.exit(run_daemon(line[0], line[1:]))
    from ovenbird.cli.commands import ovenbird  # noqa: PLC0415 - daemons start without click
    from ovenbird.lab.errors import LabError  # noqa: PLC0415 - likewise

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)  # so that what is half done is undone
    try:
        ovenbird.main(line, prog_name="ovenbird")
    except LabError as error:
        sys.stderr.write("\n".join([f"ovenbird: {error}", *getattr(error, "__notes__", [])]) + "\n")
        sys.exit(1)
    sys.exit(0)
