"""The errors of a lab: one class per cause, so that callers can tell them apart.

Every message is one line that says what happened and, where something can be done about it, what to do.
"""

from collections.abc import Sequence


class LabError(Exception):
    """Any failure of a lab."""


class RequirementError(LabError):
    """The machine lacks a privilege or a program that the lab needs."""


class AlreadyRunningError(LabError):
    """A cloud already runs in this run directory."""


class NotRunningError(LabError):
    """No cloud runs in this run directory."""


class NoSuchInstanceError(LabError):
    """The lab has no instance of that name."""


class DuplicateInstanceError(LabError):
    """The lab already has an instance of that name."""


class LayoutError(LabError):
    """The requested lab is impossible: a name, path or port is unusable."""


class ClashError(LabError):
    """A name that the lab needs is in use by another program."""


class NoAnswerError(LabError):
    """A server does not answer, or answers with an error; the message follows the name of the server."""


class WaitTimeoutError(LabError):
    """A condition did not become true in time."""


class ProcessDiedError(LabError):
    """One of the lab's processes ends each time it is started."""


class StateError(LabError):
    """The state file has invalid contents."""


class CommandError(LabError):
    """A program that the lab ran failed.

    Arguments:
        argv: the command line as it was run.
        status: its exit status, or minus the number of the signal that ended it.
        stderr: what it wrote to standard error.
    """

    def __init__(self, argv: Sequence[str], status: int, stderr: str) -> None:
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr.strip()
        super().__init__(f"`{' '.join(self.argv)}` failed with status {status}: {self.stderr or 'no message'}")


class ApiError(LabError):
    """The network API refused a request, or did not answer it.

    Arguments:
        status: the HTTP status, 0 when there was no answer.
        kind: Neutron's name of the error (`NeutronError.type`), or the transport's.
        message: Neutron's message.
    """

    def __init__(self, status: int, *, kind: str, message: str) -> None:
        self.status = status
        self.kind = kind
        super().__init__(f"{kind}: {message}" if status == 0 else f"{kind} ({status}): {message}")
