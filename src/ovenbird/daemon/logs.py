"""Logs in Open vSwitch's form, with levels that change while the daemon runs.

A line is `2026-01-31T12:00:00.123Z|00042|module|INFO|message`; with `--log-format=json` it is one JSON object.
A record's extra fields (`log.info("...", extra={"port": name})`) follow as `key=value`, or as members. Destinations
are `console` (standard error), `file` and `syslog`; each has a level, and a module may have its own
(ovs-appctl(8), "LOGGING COMMANDS"). However often the same thing happens, the lines about it are limited.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import time
from pathlib import Path
from typing import ClassVar

import orjson

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.log_file import LogFile
from ovenbird.daemon.log_limit import LogLimit
from ovenbird.net.numbers import integer

LEVELS = {
    "off": logging.CRITICAL + 10,
    "emer": logging.CRITICAL,
    "err": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "dbg": logging.DEBUG,
}
LEVEL_NAMES = {
    logging.CRITICAL: "EMER",
    logging.ERROR: "ERR",
    logging.WARNING: "WARN",
    logging.INFO: "INFO",
    logging.DEBUG: "DBG",
}
DESTINATIONS = ("syslog", "console", "file")
SYSLOG = "/dev/log"
"""The socket of the machine's syslog, if it has one."""
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class OvsFormatter(logging.Formatter):
    """Lines as Open vSwitch writes them, numbered.

    Arguments:
        json: write JSON objects instead.
    """

    def __init__(self, *, json: bool = False) -> None:
        super().__init__()
        self.json = json
        self.count = 0

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        self.count += 1
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        when = f"{seconds}.{int(record.msecs):03d}Z"
        module = record.name.removeprefix("ovenbird.")
        level = LEVEL_NAMES.get(record.levelno, record.levelname)
        message = record.getMessage()
        if not message.isprintable():  # names that strangers give must not look like lines of their own
            message = "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in message)
        extra = {k: v for k, v in vars(record).items() if k not in _PLAIN}
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self.json:
            line = {"time": when, "module": module, "level": level, "message": message, **extra}
            return orjson.dumps({**line, "trace": trace} if trace else line, default=str).decode()
        tail = "".join(f" {k}={v}" for k, v in extra.items())
        return f"{when}|{self.count:05d}|{module}|{level}|{message}{tail}" + (f"\n{trace}" if trace else "")


class Destination(logging.Filter):
    """One destination's levels: a default and those of single modules."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level
        self.modules: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record here."""
        module = record.name.removeprefix("ovenbird.")
        return record.levelno >= self.modules.get(module, self.level)


class Logs:
    """The process's logging, by destination.

    Arguments:
        program: the program's name in the log file and syslog.
        json: write JSON objects.
    """

    defaults: ClassVar[dict[str, int]] = {
        "syslog": logging.INFO,
        "console": logging.WARNING,
        "file": logging.INFO,
    }

    def __init__(self, program: str, *, json: bool = False) -> None:
        self.program = program
        self.json = json
        self.file: Path | None = None
        self.destinations = {name: Destination(level) for name, level in self.defaults.items()}
        self._handlers: dict[str, logging.Handler] = {}
        self._limit = LogLimit()
        logging.getLogger().addHandler(logging.NullHandler())  # without any handler lines would go to standard error
        self._install("console", logging.StreamHandler(sys.stderr))
        if Path(SYSLOG).exists():
            self._install("syslog", logging.handlers.SysLogHandler(SYSLOG))

    def open_file(self, path: Path) -> None:
        """Write to `path` too, appending.

        Raises:
            UsageError: the file cannot be opened.
        """
        self.file = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._install("file", LogFile(path))
        except OSError as e:
            raise UsageError(f"{path}: {e.strerror}") from e
        logging.getLogger("ovenbird.vlog").info("opened log file %s", path)

    def use_syslog(self, method: str) -> None:
        """Set the destination of syslog (ovs-vswitchd(8), `--syslog-method`): libc, null, unix:FILE or udp:HOST:PORT.

        Raises:
            UsageError: it is none of these, or cannot be reached.
        """
        if method == "null":
            self._remove("syslog")
        else:
            self._send_syslog("syslog", method)

    def copy_syslog(self, target: str) -> None:
        """Also send syslog's lines to a UDP port (ovs-vswitchd(8), `--syslog-target`).

        Raises:
            UsageError: it is not HOST:PORT, or the host is unknown.
        """
        self._send_syslog("syslog-target", f"udp:{target}")

    def _send_syslog(self, name: str, method: str) -> None:
        kind, _, rest = method.partition(":")
        address: str | tuple[str, int]
        if method == "libc":
            address = SYSLOG
        elif kind == "unix" and rest:
            address = rest
        elif (
            kind == "udp"
            and (host := rest.rpartition(":")[0])
            and (port := integer(rest.rpartition(":")[2], 1, 65535)) is not None
        ):
            address = host.strip("[]"), port
        else:
            raise UsageError(f"syslog {method}: libc, null, unix:FILE or udp:HOST:PORT is needed")
        try:
            self._install(name, logging.handlers.SysLogHandler(address))
        except OSError as e:
            raise UsageError(f"syslog {method}: {e.strerror or e}") from e

    def reopen(self) -> None:
        """Reopen the log file, after a rotation.

        Raises:
            UsageError: it cannot be opened; lines still go to the old file.
        """
        if self.file is not None:
            self.open_file(self.file)

    def drop_console(self) -> None:
        """Stop writing to standard error, as a detached daemon must."""
        self._remove("console")

    def _remove(self, name: str) -> None:
        handler = self._handlers.pop(name, None)
        if handler is not None:
            logging.getLogger().removeHandler(handler)

    def set(self, spec: str) -> None:
        """Set levels as `-v` and `vlog/set` do: words for module, destination and level, in any order.

        Raises:
            UsageError: a word is none of these.
        """
        level = logging.DEBUG
        destinations: list[str] = []
        modules: list[str] = []
        for word in spec.replace(",", " ").replace(":", " ").split():
            if word.lower() in LEVELS:
                level = LEVELS[word.lower()]
            elif word in DESTINATIONS:
                destinations.append(word)
            elif word.upper() == "ANY":
                continue
            elif word.upper() in ("PATTERN", "FACILITY"):
                raise UsageError(f"{spec}: the form of lines is chosen with --log-format alone")
            elif word.replace("_", "").replace(".", "").isalnum():
                modules.append(word)
            else:
                raise UsageError(f"{spec}: no destination, level, or module named {word}")
        for name in destinations or DESTINATIONS:
            destination = self.destinations[name]
            if modules:
                destination.modules.update(dict.fromkeys(modules, level))
            else:
                destination.level = level
                destination.modules.clear()
        self._adjust()

    def show(self) -> str:
        """Return the levels as `vlog/list` prints them."""
        by_value = {value: name.upper() for name, value in LEVELS.items()}

        def row(label: str, levels: list[int]) -> str:
            return f"{label:<18}" + "".join(f"{by_value[level]:>10}" for level in levels)

        modules = sorted({m for d in self.destinations.values() for m in d.modules})
        heads = ("console", "syslog", "file")
        lines = [" " * 18 + "".join(f"{text:>10}" for text in line) for line in (heads, ["-" * len(h) for h in heads])]
        chosen = [self.destinations[n] for n in heads]
        lines.append(row("ANY", [d.level for d in chosen]))
        lines += [row(m, [d.modules.get(m, d.level) for d in chosen]) for m in modules]
        return "\n".join(lines) + "\n"

    def _install(self, name: str, handler: logging.Handler) -> None:
        old = self._handlers.get(name)
        root = logging.getLogger()
        if old is not None:
            root.removeHandler(old)
            old.close()
        handler.setFormatter(OvsFormatter(json=self.json))
        if isinstance(handler, logging.handlers.SysLogHandler):
            handler.ident = f"{self.program}: "
        handler.addFilter(self.destinations[_destination(name)])
        handler.addFilter(self._limit)
        complain = handler.handleError
        handler.handleError = lambda record: None if _is_gone() else complain(record)  # type: ignore[method-assign]
        self._handlers[name] = handler
        root.addHandler(handler)
        self._adjust()

    def _adjust(self) -> None:
        """Set the root logger's level to the lowest of all destinations."""
        present = [self.destinations[_destination(name)] for name in self._handlers]
        levels = [level for d in present for level in (d.level, *d.modules.values())]
        logging.getLogger().setLevel(min(levels, default=logging.WARNING))


def _destination(handler: str) -> str:
    """Return the destination of a handler; a remote syslog is also the destination syslog."""
    return "syslog" if handler == "syslog-target" else handler


def _is_gone() -> bool:
    """Return whether the present exception is a closed terminal or syslog, which is not worth a traceback."""
    return isinstance(sys.exc_info()[1], OSError)
