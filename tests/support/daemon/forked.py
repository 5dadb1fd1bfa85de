"""Daemons as processes of their own, forked from one that has imported them: a start costs no imports."""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path
from unittest.mock import patch

from ovenbird.cli.main import DAEMONS, run_daemon
from support.waiting import until_async

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([*(f"ovenbird.daemon.{name}" for name in DAEMONS), "uvicorn.lifespan.off"])


def start(name, argv, place, *, env=(), instead=None):
    """Start a daemon whose run and log directory is `place`; what it prints goes to the file `err` there.

    Arguments:
        name: of the daemon.
        argv: its arguments.
        place: a folder.
        env: variables besides.
        instead: a function of this module to call first, in that process.
    """
    places = {f"{kind}_{what}": str(place) for kind in ("OVS", "OVN") for what in ("RUNDIR", "LOGDIR")}
    process = CONTEXT.Process(
        target=_run, args=(name, argv, {**os.environ, **places, **dict(env)}, str(place), instead)
    )
    with patch.dict(vars(sys.modules["__main__"]), __file__=None):  # each process would import it anew
        process.start()
    return process


def _run(name, argv, env, place, instead):
    os.environ.clear()
    os.environ.update(env)
    err = os.open(Path(place, "err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(err, 1)
    os.dup2(err, 2)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    if instead is not None:
        instead()
    sys.exit(run_daemon(name, argv))


def names_block():
    """Have no name server answer."""
    socket.getaddrinfo = lambda *_args, **_kwargs: time.sleep(3600)


def turns_end():
    """Have the event loop never turn again once a daemon is ready, as while a large network is compiled."""

    async def busy(*_):
        logging.getLogger("ovenbird.daemon").info("the event loop has no turn any more")
        while True:
            pass

    from ovenbird.daemon import northd  # noqa: PLC0415 - of the process that it is for

    northd.until_stopped = busy


async def ended(process):
    """Return the exit status of a process that is to end."""
    await until_async(lambda: process.exitcode is not None)
    return process.exitcode
