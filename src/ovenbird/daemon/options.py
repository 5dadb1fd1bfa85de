"""The command lines of Open vSwitch's and OVN's daemons.

Long options take their value after `=` or as the next argument; some have an optional value, which only `=` gives
(`--pidfile[=FILE]`, `--log-file[=FILE]`, `-v[SPEC]`). The common ones are those of ovs-vswitchd(8)'s "Daemon
Options", "Logging Options", "Public Key Infrastructure Options" and "Other Options"; what they imply is in
`process.py` and `logs.py`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Takes(Enum):
    """Whether an option takes a value."""

    NOTHING = "nothing"
    VALUE = "value"
    OPTIONAL = "optional"


COMMON: Mapping[str, Takes] = {
    "pidfile": Takes.OPTIONAL,
    "overwrite-pidfile": Takes.NOTHING,
    "detach": Takes.NOTHING,
    "no-chdir": Takes.NOTHING,
    "no-self-confinement": Takes.NOTHING,
    "monitor": Takes.NOTHING,
    "user": Takes.VALUE,
    "log-file": Takes.OPTIONAL,
    "syslog-target": Takes.VALUE,
    "syslog-method": Takes.VALUE,
    "log-format": Takes.VALUE,
    "verbose": Takes.OPTIONAL,
    "unixctl": Takes.VALUE,
    "private-key": Takes.VALUE,
    "certificate": Takes.VALUE,
    "ca-cert": Takes.VALUE,
    "bootstrap-ca-cert": Takes.VALUE,
    "peer-ca-cert": Takes.VALUE,
    "ssl-protocols": Takes.VALUE,
    "ssl-ciphers": Takes.VALUE,
    "help": Takes.NOTHING,
    "version": Takes.NOTHING,
}
"""Options that every daemon takes."""

SHORT: Mapping[str, str] = {
    "-v": "verbose",
    "-p": "private-key",
    "-c": "certificate",
    "-C": "ca-cert",
    "-h": "help",
    "-V": "version",
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


def parse(argv: Sequence[str], own: Mapping[str, Takes], short: Mapping[str, str] | None = None) -> Options:
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
            value: str | None = text if has_value else None
        elif arg.startswith("-") and arg[:2] in letters:
            name = letters[arg[:2]]
            value = arg[2:] or None
        elif arg.startswith("-") and arg != "-":
            raise UsageError(f"unknown option {arg}")
        else:
            arguments.append(arg)
            continue
        takes = known.get(name)
        if takes is None:
            raise UsageError(f"unknown option --{name}")
        if takes is Takes.NOTHING and value is not None:
            raise UsageError(f"option --{name} takes no value")
        if takes is Takes.VALUE and value is None:
            if not rest:
                raise UsageError(f"option --{name} needs a value")
            value = rest.pop(0)
        given.setdefault(name, []).append(value)
    return Options({name: tuple(values) for name, values in given.items()}, tuple(arguments))


def system_id_override() -> str:
    """Return what the file `system-id-override` says, the chassis's name before the database's; nothing without one.

    It is in `OVN_SYSCONFDIR`, or else in `/etc/ovn` or `/etc`, where Debian's program looks (ovn-controller(8),
    `external_ids:system-id`).

    Raises:
        UsageError: the file is there and cannot be read.
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

    OVN's original daemons know the former alone; here it counts for them where the latter is not set.
    """
    default = {"ovs": "/var/log/openvswitch", "ovn": "/var/log/ovn"}[kind]
    return os.environ.get(f"{kind.upper()}_LOGDIR") or os.environ.get("OVS_LOGDIR") or default
