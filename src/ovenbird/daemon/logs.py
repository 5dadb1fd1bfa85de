"""Logs in Open vSwitch's form, with levels that change while the daemon runs.

A line is `2026-01-31T12:00:00.123Z|00042|module|INFO|message`; with `--log-format=json` it is one JSON object.
A record's extra fields (`log.info("...", extra={"port": name})`) follow as `key=value`, or as members. Destinations
are `console` (standard error), `file` and `syslog`; each has a level, and a module may have its own, and each has a
pattern of its lines (ovs-appctl(8), "Logging Commands"). However often the same thing happens, the lines about it are
limited.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import orjson

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.log_file import LogFile
from ovenbird.daemon.log_limit import LogLimit
from ovenbird.daemon.log_pattern import DEFAULT_PATTERN, LogLine, LogPattern, facility_number, level_name
from ovenbird.dataclass import dataclass
from ovenbird.net.numbers import integer

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

LEVELS = {
    "off": logging.CRITICAL + 10,
    "emer": logging.CRITICAL,
    "err": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "dbg": logging.DEBUG,
}
DESTINATIONS = ("syslog", "console", "file")
SYSLOG = "/dev/log"
"""The socket of the machine's syslog, if it has one."""
_TARGET = "syslog-target"
"""The handler of a remote syslog, whose destination is syslog too."""
_PACKAGE = "ovenbird."
_MODULES = ("acl_log",)
"""Loggers outside the package."""
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


@dataclass()
class Syslog:
    """What syslog is told of the process besides the line.

    Arguments:
        program: its name.
        facility: its facility (RFC 5424, section 6.2.1).
    """

    program: str = ""
    facility: int = logging.handlers.SysLogHandler.LOG_USER


def module_of(logger: str) -> str:
    """Return the module that a logger's lines name."""
    return logger.removeprefix(_PACKAGE)


class OvsFormatter(logging.Formatter):
    """Lines as Open vSwitch writes them, numbered.

    Arguments:
        json: write JSON objects instead, until there is a pattern.
        syslog: what a pattern may ask for of the process.
    """

    def __init__(self, *, json: bool = False, syslog: Syslog | None = None) -> None:
        super().__init__()
        self.json = json
        self.pattern = LogPattern(DEFAULT_PATTERN)
        self.count = 0
        self._syslog = syslog or Syslog()

    def use(self, pattern: LogPattern) -> None:
        """Write lines of this pattern from now on."""
        self.pattern, self.json = pattern, False

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        self.count += 1
        module = module_of(record.name)
        message = record.getMessage()
        if not message.isprintable():  # names given by other clients must not look like log lines
            message = "".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in message)
        extra = {k: v for k, v in vars(record).items() if k not in _PLAIN}
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self.json:
            seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            when = f"{seconds}.{int(record.msecs):03d}Z"
            line = {"time": when, "module": module, "level": level_name(record), "message": message, **extra}
            return orjson.dumps({**line, "trace": trace} if trace else line, default=str).decode()
        message += "".join(f" {k}={v}" for k, v in extra.items())
        syslog = self._syslog
        return self.pattern.fill(
            LogLine(
                record=record,
                number=self.count,
                module=module,
                message=message,
                program=syslog.program,
                facility=syslog.facility,
            )
        ) + (f"\n{trace}" if trace else "")


class Destination(logging.Filter):
    """One destination's levels: a default and those of modules, which hold for the modules below them too."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level
        self.modules: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write the record here."""
        return record.levelno >= self.level_of(module_of(record.name))

    def level_of(self, module: str) -> int:
        """Return the level of a module: its own, or that of the nearest one above it that has one."""
        while module and module not in self.modules:
            module = module.rpartition(".")[0]
        return self.modules.get(module, self.level)


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
        self.file: Path | None = None
        self.destinations = {name: Destination(level) for name, level in self.defaults.items()}
        self._handlers: dict[str, logging.Handler] = {}
        self._limit = LogLimit()
        self._syslog = Syslog(program)
        names = (*self.defaults, _TARGET)
        self._formatters = {name: OvsFormatter(json=json, syslog=self._syslog) for name in names}
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
        self._send_syslog(_TARGET, f"udp:{target}")

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

    def close_file(self) -> None:
        """Close the log file until `reopen`."""
        self._remove("file")

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
            if isinstance(handler, LogFile):
                handler.close()
            self._adjust()

    @property
    def modules(self) -> list[str]:
        """The modules that write lines, as far as they are loaded, and those that have a level of their own."""
        loggers = logging.getLogger().manager.loggerDict
        ours = {n for n, one in loggers.items() if n.startswith(_PACKAGE) and isinstance(one, logging.Logger)}
        return sorted({*map(module_of, ours), *_MODULES, *(m for d in self.destinations.values() for m in d.modules)})

    def set(self, spec: str, *, known: bool = False) -> None:
        """Set what `-v` and `vlog/set` do: levels by words for module, destination and level, a pattern, a facility.

        Arguments:
            spec: the words, `PATTERN:DESTINATION:PATTERN`, or `FACILITY:NAME`.
            known: whether modules have to be there already; at the start of a process not all are.

        Raises:
            UsageError: a word is none of these.
        """
        kind, _, rest = spec.partition(":")
        if kind.upper() == "PATTERN":
            self._set_pattern(rest)
        elif kind.upper() == "FACILITY":
            self._set_facility(rest)
        else:
            self._set_levels(spec, _and_above(self.modules) if known else None)

    def _set_pattern(self, rest: str) -> None:
        destination, _, pattern = rest.partition(":")
        if destination.lower() not in DESTINATIONS:
            raise UsageError(f'unknown destination "{destination}"')
        try:
            made = LogPattern(pattern)
        except ValueError as error:
            raise UsageError(str(error)) from error
        for name, formatter in self._formatters.items():
            if _destination(name) == destination.lower():
                formatter.use(made)

    def _set_facility(self, name: str) -> None:
        number = facility_number(name)
        if number is None:
            raise UsageError("invalid facility")
        self._syslog.facility = number
        for handler in self._handlers.values():
            if isinstance(handler, logging.handlers.SysLogHandler):
                handler.facility = number

    def _set_levels(self, spec: str, known: Collection[str] | None) -> None:
        level = logging.DEBUG
        destinations: list[str] = []
        modules: list[str] = []
        for word in spec.replace(",", " ").replace(":", " ").split():
            if word.lower() in LEVELS:
                level = LEVELS[word.lower()]
            elif word.lower() in DESTINATIONS:
                destinations.append(word.lower())
            elif word.upper() == "ANY":
                continue
            elif word in known if known is not None else word.replace("_", "").replace(".", "").isalnum():
                modules.append(word)
            else:
                raise UsageError(f'no destination, level, or module "{word}"')
        for name in destinations or DESTINATIONS:
            destination = self.destinations[name]
            if modules:
                destination.modules.update(dict.fromkeys(modules, level))
            else:
                destination.level = level
                destination.modules.clear()
        self._adjust()

    def limit(self, modules: Sequence[str], *, limited: bool) -> None:
        """Limit how many lines some modules write, or no longer.

        Arguments:
            modules: their names; all modules if there is none, or `any`.
            limited: whether there is a limit from now on.

        Raises:
            UsageError: there is no such module.
        """
        if any(name.lower() == "any" for name in modules):
            modules = ()
        if not set(modules) <= _and_above(self.modules):
            raise UsageError("unknown module")
        chosen = [each for each in self.modules if any(f"{each}.".startswith(f"{name}.") for name in modules)]
        self._limit.limit(*(n if n in _MODULES else _PACKAGE + n for n in chosen), limited=limited)

    def show(self) -> str:
        """Return the levels as `vlog/list` prints them."""
        by_value = {value: name.upper() for name, value in LEVELS.items()}
        chosen = [self.destinations[name] for name in ("console", "syslog", "file")]
        lines = [f"{'':<17}console    syslog    file\n{'':<17}-------    ------    ------\n"]
        for module in self.modules:
            console, syslog, file = (by_value[d.level_of(module)] for d in chosen)
            lines.append(f"{module:<16}  {console:>4}       {syslog:>4}       {file:>4}\n")
        return "".join(lines)

    def show_patterns(self) -> str:
        """Return the patterns as `vlog/list-pattern` prints them."""
        lines = [f"{'':<9}{'prefix':<34}format\n", f"{'':<9}{'------':<34}------\n"]
        for name, prefix in (("syslog", "<%B>%A: "), ("console", "none"), ("file", "none")):
            form = self._formatters[name]
            lines.append(f"{name.upper():<9}{prefix:<34}{'JSON' if form.json else form.pattern.text}\n")
        return "".join(lines)

    def _install(self, name: str, handler: logging.Handler) -> None:
        old = self._handlers.get(name)
        root = logging.getLogger()
        if old is not None:
            root.removeHandler(old)
            old.close()
        handler.setFormatter(self._formatters[name])
        if isinstance(handler, logging.handlers.SysLogHandler):
            handler.ident = f"{self.program}: "
            handler.facility = self._syslog.facility
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


def _and_above(modules: Iterable[str]) -> set[str]:
    """Return modules with those above them."""
    parts = [module.split(".") for module in modules]
    return {".".join(each[:end]) for each in parts for end in range(1, len(each) + 1)}


def _destination(handler: str) -> str:
    """Return the destination of a handler; a remote syslog is also the destination syslog."""
    return "syslog" if handler == _TARGET else handler


def _is_gone() -> bool:
    """Return whether the present exception is a closed terminal or syslog, which is not worth a traceback."""
    return isinstance(sys.exc_info()[1], OSError)
