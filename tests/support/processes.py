"""The end of the processes that a test started."""

import subprocess
from collections.abc import Iterable


def end(processes: Iterable[subprocess.Popen], seconds: float = 10.0) -> None:
    """End processes one by one in the order given: each may say goodbye to those that end after it.

    Arguments:
        processes: those to end; some may have ended already.
        seconds: how long each has before it is killed.
    """
    for process in processes:
        process.terminate()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
