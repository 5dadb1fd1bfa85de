"""The patterns of log lines, which `vlog/set PATTERN:DESTINATION:PATTERN` sets (ovs-appctl(8), "Logging Commands").

A conversion is `%`, a width with `-` and `0` before it if need be, and a letter; what the letter stands for is in
`_CONVERSIONS`. Other characters, and conversions that are unknown, stand for themselves.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from typing import TYPE_CHECKING

from ovenbird.namedtuple import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PATTERN = "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c|%p|%m"
LEVEL_NAMES = {
    logging.CRITICAL: "EMER",
    logging.ERROR: "ERR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DBG",
}
FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "clock", "ftp", "ntp", "audit", "alert",
    "clock2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""The facilities of syslog by their number, as ovs-appctl(8) calls them; RFC 5424 has a second `cron` as number 15."""
_SEVERITIES = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
"""The severities of RFC 5424 by level."""
LONGEST_PATTERN = 4096
"""Maximum characters of a pattern."""
WIDEST = 1024
"""Maximum width of a field."""
_CONVERSION = re.compile(r"%(-?)(0?)(\d*)(?:([dD])(?:\{([^}]*)\})?|(.))", re.DOTALL)
_ISO = "%Y-%m-%d %H:%M:%S"
_STARTED = time.time()


class LogLine(NamedTuple):
    """What a pattern is filled with."""

    record: logging.LogRecord
    number: int
    module: str
    message: str
    program: str
    facility: int


def facility_number(name: str) -> int | None:
    """Return the number of a facility; None if it is unknown."""
    index = FACILITIES.index(name) if name in FACILITIES else -1
    return None if index < 0 else index if index < FACILITIES.index("local0") else index + 1


def _moment(local: bool, form: str, record: logging.LogRecord) -> str:
    text = time.strftime(form, (time.localtime if local else time.gmtime)(record.created))
    return re.sub("#+", lambda found: f"{int(record.msecs):03d}".ljust(len(found[0]), "0")[: len(found[0])], text)


def level_name(record: logging.LogRecord) -> str:
    """Return how a record's level is written."""
    return LEVEL_NAMES.get(record.levelno, record.levelname)


_CONVERSIONS: dict[str, Callable[[LogLine], str]] = {
    "A": lambda line: line.program,
    "B": lambda line: str(line.facility * 8 + _SEVERITIES.get(line.record.levelno, 6)),
    "c": lambda line: line.module,
    "E": lambda _: socket.gethostname(),
    "m": lambda line: line.message,
    "N": lambda line: str(line.number),
    "n": lambda _: "\n",
    "p": lambda line: level_name(line.record),
    "P": lambda _: str(os.getpid()),
    "r": lambda line: str(max(0, int((line.record.created - _STARTED) * 1000))),
    "t": lambda _: "main",
    "T": lambda _: "",
    "%": lambda _: "%",
}


class LogPattern:
    """A pattern.

    Arguments:
        text: as `vlog/set` takes it.

    Raises:
        ValueError: it is longer, or a field of it wider, than any line should be.
    """

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST_PATTERN:
            raise ValueError(f"a pattern of more than {LONGEST_PATTERN} characters")
        self.text = text
        self._parts: list[str | Callable[[LogLine], str]] = []
        at = 0
        for found in _CONVERSION.finditer(text):
            self._parts += [text[at : found.start()], _part(*found.groups())]
            at = found.end()
        self._parts.append(text[at:])

    def fill(self, line: LogLine) -> str:
        """Return a line."""
        return "".join(part if isinstance(part, str) else part(line) for part in self._parts)


def _part(
    left: str, zeros: str, width: str, moment: str | None, form: str | None, letter: str | None
) -> Callable[[LogLine], str]:
    """Return what fills one conversion, of which these are the parts."""
    size = int(width or 0)
    if size > WIDEST:
        raise ValueError(f"a field of more than {WIDEST} characters")

    def value(line: LogLine) -> str:
        if moment is not None:
            return _moment(moment == "d", _ISO if form is None else form, line.record)
        expand = _CONVERSIONS.get(letter or "")
        return expand(line) if expand is not None else f"%{letter}"

    def padded(line: LogLine) -> str:
        text = value(line)
        return text.ljust(size) if left else text.rjust(size, "0" if zeros else " ")

    return padded
