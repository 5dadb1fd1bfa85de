"""Rollback: a step that fails half-way undoes what it has done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ovenbird.lab.errors import LabError


@contextmanager
def undone_by(*steps: Callable[[], object]) -> Iterator[None]:
    """If what is done inside fails, or is interrupted, undo it: every step is tried, even if others fail.

    Arguments:
        steps: in the order in which they are to be taken; the error notes those that fail, and is raised again.
    """
    try:
        yield
    except BaseException as error:
        for step in steps:
            try:
                step()
            except (LabError, OSError) as again:
                error.add_note(f"and not all of it could be undone: {again}")
        raise
