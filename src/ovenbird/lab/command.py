"""Run a program to its end, and report clearly what failed if it fails."""

import subprocess
from collections.abc import Mapping, Sequence

from ovenbird.lab.errors import CommandError, RequirementError
from ovenbird.lab.requirements import environment


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> str:
    """Run a program and return what it wrote to standard output.

    Arguments:
        argv: the command line; no shell is involved.
        stdin: text for its standard input.
        env: variables to add to this process's own.
        timeout: seconds until the program is killed.

    Raises:
        CommandError: it exited with another status than 0, or took too long.
        RequirementError: there is no such program.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            env={**environment(), **(env or {})},
            timeout=timeout,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        raise RequirementError(f"the program {argv[0]} is missing") from None
    except subprocess.TimeoutExpired:
        raise CommandError(argv, -9, f"it did not end within {timeout:g} s") from None
    if done.returncode != 0:
        raise CommandError(argv, done.returncode, done.stderr)
    return done.stdout
