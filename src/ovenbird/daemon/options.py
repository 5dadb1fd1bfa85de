"""The command lines of Open vSwitch's and OVN's daemons.

A long option takes its value after `=` or as the next argument; an optional value is given by `=` only
(`--pidfile[=FILE]`, `--log-file[=FILE]`, `-v[SPEC]`). The common options are those of ovs-vswitchd(8), "Daemon
Options", "Logging Options", "Public Key Infrastructure Options" and "Other Options"; `process.py` and `logs.py`
implement them.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError
from ovenbird.dataclass import KW_ONLY, dataclass, field

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Takes(Enum):
    """Whether an option takes a value."""

    NOTHING = "nothing"
    VALUE = "value"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True)
class Option:
    """One long option of a daemon, for the parser, `--help` and the reference of options.

    Arguments:
        takes: whether it takes a value.
        value: the placeholder of the value, such as `FILE`.
        text: what the option does.
        repeats: whether all given values are used, instead of only the last.
        no_effect: returns why a value has no effect; empty if it has one.
    """

    takes: Takes
    value: str
    _: KW_ONLY
    text: str
    repeats: bool = False
    no_effect: Callable[[str | None], str] = lambda _: ""

    def spelled(self, name: str) -> str:
        """Return how it is written with its name, as `--pidfile[=FILE]`."""
        form = {Takes.NOTHING: "--{}", Takes.VALUE: "--{}={}", Takes.OPTIONAL: "--{}[={}]"}[self.takes]
        return form.format(name, self.value)


def flag(text: str) -> Option:
    """Return an option without a value."""
    return Option(Takes.NOTHING, "", text=text)


def value(stands_for: str, *, text: str, repeats: bool = False) -> Option:
    """Return an option that needs a value.

    Arguments:
        stands_for: the placeholder of the value in `--help`: `FILE`.
        text: its description in `--help`.
        repeats: whether it may be given several times.
    """
    return Option(Takes.VALUE, stands_for, text=text, repeats=repeats)


def optional(stands_for: str, *, text: str, repeats: bool = False) -> Option:
    """Return an option whose value may be left out.

    Arguments:
        stands_for: the placeholder of the value in `--help`: `FILE`.
        text: its description in `--help`.
        repeats: whether it may be given several times.
    """
    return Option(Takes.OPTIONAL, stands_for, text=text, repeats=repeats)


GROUPS: Mapping[str, Mapping[str, Option]] = {
    "Process": {
        "detach": flag("run in the background; the command returns when the daemon is ready"),
        "monitor": flag("start the daemon again when a programming error kills it (SIGSEGV, SIGABRT and their like)"),
        "user": value("USER[:GROUP]", text="switch to this user and group, without capabilities; needs root"),
        "no-chdir": flag("with --detach: stay in this directory, instead of going to /"),
        "no-self-confinement": flag("accepted, no effect: no daemon restricts itself to certain directories"),
        "pidfile": optional("FILE", text="write the process id to this file (RUNDIR/PROGRAM.pid), and keep it locked"),
        "overwrite-pidfile": flag("with --pidfile: start even if a running process holds the file"),
        "unixctl": value("SOCKET", text="the control socket (RUNDIR/PROGRAM.PID.ctl); `none` for no control socket"),
    },
    "Log": {
        "verbose": optional(
            "SPEC",
            text="log levels, such as `file:info` or `ovsdb.replica:syslog:warn`; without a value, all messages",
            repeats=True,
        ),
        "log-file": optional("FILE", text="also write the log to this file (LOGDIR/PROGRAM.log)"),
        "log-format": value(
            "FORM", text="text: lines in the format of Open vSwitch (default); json: one JSON object in each line"
        ),
        "syslog-method": value(
            "METHOD",
            text="how to reach syslog: libc (default), null, unix:FILE or udp:HOST:PORT; else $OVS_SYSLOG_METHOD",
        ),
        "syslog-target": value("HOST:PORT", text="also send the lines for syslog to this UDP port"),
    },
    "TLS": {
        "private-key": value("FILE", text="this program's private key (PEM)"),
        "certificate": value("FILE", text="the certificate of that key (PEM)"),
        "ca-cert": value(
            "FILE", text="the authority that must have signed the peers' certificates; `none` accepts any"
        ),
        "bootstrap-ca-cert": value(
            "FILE", text="like --ca-cert; if the file does not exist, it is created from the first peer's certificate"
        ),
        "peer-ca-cert": value("FILE", text="further certificates of authorities, which are presented to peers"),
        "ssl-protocols": value("PROTOCOLS", text="the permitted versions of TLS (TLSv1.2,TLSv1.3)"),
        "ssl-ciphers": value("CIPHERS", text="the permitted ciphers of TLS 1.2, in OpenSSL's notation"),
    },
    "Help": {
        "help": flag("print this help"),
        "options": flag("print the options only, for shells"),
        "version": flag("print the version"),
    },
}
"""Options that every daemon takes, by what they are about (ovs-vswitchd(8), "OPTIONS")."""

COMMON: Mapping[str, Option] = {name: option for group in GROUPS.values() for name, option in group.items()}
"""The same by name."""

SHORT: Mapping[str, str] = {
    "-v": "verbose",
    "-p": "private-key",
    "-c": "certificate",
    "-C": "ca-cert",
    "-h": "help",
    "-V": "version",
    "-o": "options",
    "-u": "unixctl",
}
"""Short options and the long ones that they stand for."""


@dataclass(frozen=True, slots=True)
class Options:
    """A parsed command line: the values of each option in the order given, and the other arguments."""

    given: Mapping[str, tuple[str | None, ...]]
    arguments: tuple[str, ...] = field(default=())

    def has(self, name: str) -> bool:
        """Return whether the option was given."""
        return name in self.given

    def last(self, name: str) -> str | None:
        """Return the value given last, or None."""
        return self.given[name][-1] if name in self.given else None

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value given."""
        return tuple(v for v in self.given.get(name, ()) if v is not None)


def parse(argv: Sequence[str], own: Mapping[str, Option], short: Mapping[str, str] | None = None) -> Options:
    """Parse a daemon's command line.

    Arguments:
        argv: the arguments, without the program's name.
        own: the long options of this daemon beyond the common ones.
        short: short options of this daemon, and the long ones that they stand for.

    Raises:
        UsageError: an unknown option, or one with a value missing or too many.
    """
    known = {**COMMON, **own}
    letters = {**SHORT, **(short or {})}
    given: dict[str, list[str | None]] = {}
    arguments: list[str] = []
    rest = list(argv)
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            arguments += rest
            break
        if arg.startswith("--"):
            name, has_value, text = arg[2:].partition("=")
            given_value: str | None = text if has_value else None
        elif arg.startswith("-") and arg[:2] in letters:
            name = letters[arg[:2]]
            given_value = arg[2:] or None
        elif arg.startswith("-") and arg != "-":
            raise UsageError(f"unknown option {arg}")
        else:
            arguments.append(arg)
            continue
        option = known.get(name)
        if option is None:
            raise UsageError(f"unknown option --{name}")
        takes = option.takes
        if takes is Takes.NOTHING and given_value is not None:
            raise UsageError(f"option --{name} takes no value")
        if takes is Takes.VALUE and given_value is None:
            if not rest:
                raise UsageError(f"option --{name} needs a value")
            given_value = rest.pop(0)
        given.setdefault(name, []).append(given_value)
    return Options({name: tuple(values) for name, values in given.items()}, tuple(arguments))


def system_id_override() -> str:
    """Return the chassis's name in the file `system-id-override`, which precedes the database's; empty without one.

    It is in `OVN_SYSCONFDIR`, or else in `/etc/ovn` or `/etc`, where Debian's program looks (ovn-controller(8),
    `external_ids:system-id`).

    Raises:
        UsageError: the file exists and cannot be read.
    """
    given = os.environ.get("OVN_SYSCONFDIR")
    for directory in (given,) if given else ("/etc/ovn", "/etc"):
        path = Path(directory, "system-id-override")
        try:
            return path.read_text().partition("\n")[0].strip()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from error
    return ""


def log_directory(kind: str) -> str:
    """Return the directory for log files, as `OVS_LOGDIR` or `OVN_LOGDIR` says.

    OVN's daemons know only the former; here it is used for them if the latter is not set.
    """
    default = {"ovs": "/var/log/openvswitch", "ovn": "/var/log/ovn"}[kind]
    return os.environ.get(f"{kind.upper()}_LOGDIR") or os.environ.get("OVS_LOGDIR") or default
