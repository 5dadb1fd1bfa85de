"""The reference of every command's options, made from the parsers; and what became of the originals' options."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

import click

from ovenbird.cli.commands import COMMANDS
from ovenbird.cli.daemons import DAEMONS
from ovenbird.daemon.help import letters
from ovenbird.daemon.options import GROUPS
from support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = ROOT / "src" / "ovenbird"

HEAD = """# Options of every command

Made by `make docs` from the programs' own parsers. `ovenbird COMMAND --help` says the same, and of daemons
`ovenbird DAEMON --options` lists the options alone. What daemons read from databases is in [keys](keys.md).

Long options take their value behind `=` or as the next argument; values in brackets may be left out, and are given
behind `=` alone. Options are not abbreviated. An option that a daemon does not know, or a value that it cannot use,
ends it with status 1 and a line that says so; nothing is taken and ignored without a word.

RUNDIR and LOGDIR are the directories of Open vSwitch (for `ovenbird db`) or OVN (for the other daemons), PROGRAM is the
name of the original, or `ovenbird-central`, `ovenbird-api`, `ovenbird-metadata`.
"""

VARIABLES = {
    "OVS_RUNDIR": "sockets, pid files of Open vSwitch (/var/run/openvswitch); relative `unix:` remotes begin there",
    "OVN_RUNDIR": "sockets and pid files of OVN (/var/run/ovn)",
    "OVS_LOGDIR": "log files of Open vSwitch (/var/log/openvswitch), and of OVN where OVN_LOGDIR is not set",
    "OVN_LOGDIR": "log files of OVN (/var/log/ovn)",
    "OVN_SYSCONFDIR": "directory of the file `system-id-override`, which names the chassis (/etc/ovn, /etc)",
    "OVN_NB_DB": "where Northbound is served, without `--ovnnb-db`, or `--nb` of `trace`",
    "OVN_SB_DB": "where Southbound is served, without `--ovnsb-db`, or `--db` of `trace`",
    "OVN_IC_NB_DB": "where Interconnection Northbound is served, without `--ic-nb-db`",
    "OVN_IC_SB_DB": "where Interconnection Southbound is served, without `--ic-sb-db`",
    "OVENBIRD_CLOUD_DB": "where Cloud is served, without `--cloud-db`, or `--db` of `settings`",
    "OVS_SYSLOG_METHOD": "as `--syslog-method`, where that is not given",
    "NOTIFY_SOCKET": "where a service manager hears that a daemon works (sd_notify(3)); systemd sets it",
    "OVENBIRD_RUNDIR": "the run directory of `up`, `down`, `status`, `lab`, `settings`, `trace` (/run/ovenbird)",
    "COLUMNS": "width of tables; of `--help`",
    "PATH": "where programs are looked for; system programs' directories besides",
}
"""Environment variables that somebody may set, and what they do."""

UNTAKEN = {
    "ovsdb-server": {
        "record": "for tests of the original itself",
        "replay": "for tests of the original itself",
    },
    "ovn-northd": {},
    "ovn-ic": {},
    "ovn-controller": {},
}
"""Options of the original programs that ours refuse, and why."""

ORIGINALS = {"ovsdb-server": "db", "ovn-northd": "northd", "ovn-controller": "controller", "ovn-ic": "ic"}
"""Each original program's daemon of ours."""

OVN_CTL = {
    "--ovn-*-priority": "niceness: `Nice=` of the systemd unit, or nice(1)",
    "--ovn-*-wrapper --ovsdb-*-wrapper": "works around any program",
    "--ovn-user --ovs-user": "passed on as `--user`; the units have `User=`",
    "--ovn-*-ssl-*": "passed on as `--private-key`, `--certificate`, `--ca-cert`, `--bootstrap-ca-cert`",
    "--ovn-*-log --ovn-*-logfile": "passed on as `-v` and `--log-file`; levels have the same words",
    "--ovn-northd-n-threads": "passed on as `--n-threads`; any number but 1 is a warning",
    "--ovn-northd-ddlog": "starts `ovn-northd-ddlog`, a program of its own",
    "--ovn-manage-ovsdb": "the script's own",
    "--ovn-northd-nb-db --ovn-northd-sb-db": "passed on as `--ovnnb-db`, `--ovnsb-db`",
    "--ovsdb-disable-file-column-diff": "passed on as `--disable-file-column-diff`",
    "--db-sock --db-?b-sock --db-?b-*file --db-?b-schema": "passed on as `--remote`, `--pidfile`, operands",
    "--db-?b-ctrl-sock": "passed on as `--unixctl`",
    "--db-?b-addr --db-?b-port --db-?b-create-insecure-remote": "passed on as `--remote=ptcp:…`",
    "--db-?b-use-remote-in-db": "passed on as `--remote=db:…`",
    "--db-?b-sync-from-*": "passed on as `--sync-from`",
    "--db-?b-probe-interval-to-active": "given by a command of the control socket, which ours knows, too",
    "--db-*b-cluster-* --db-?b-election-timer": "Raft: [operate](../operate.md), *High availability*",
    "--db-sb-relay-* --ovn-sb-relay-*": "a relay (ovsdb(7)): ours is none",
    "--ovn-ic-* --db-ic-*": "interconnection: passed on to `ovenbird ic` and `ovenbird db` as those of the others",
    "--help": "",
}
"""Options of Debian's `ovn-ctl`, by pattern, and what becomes of them with our daemons under the originals' names."""


def environment_variables() -> set[str]:
    """Return the variables that the source asks for by name."""
    found: set[str] = set()
    asked = re.compile(
        r'environ(?:\.get\(|\[)\s*"(\w+)"|"(\w+)" in os\.environ|envvar="(\w+)"|"((?:OVN|OVENBIRD)_\w+_DB)"'
    )
    for path in SOURCE.rglob("*.py"):
        found |= {name for match in asked.findall(path.read_text()) for name in match if name}
    return found


def text() -> str:
    """Return the page."""
    return "\n".join([HEAD, *_people(), *_daemons(), *_variables(), *_beside()])


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


def _table(head: str, rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> Iterator[str]:
    yield head
    yield re.sub(r"[^|]+", " --- ", head)
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _people() -> Iterator[str]:
    yield "## Commands for people\n"
    for name in COMMANDS:
        command = importlib.import_module(f"ovenbird.cli.{name}").command
        yield from _command(f"ovenbird {name}", command)


def _command(name: str, command: click.Command) -> Iterator[str]:
    if isinstance(command, click.Group):
        for member, each in command.commands.items():
            yield from _command(f"{name} {member}", each)
        return
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    operands = " ".join(each.make_metavar(click.Context(command)) for each in arguments)
    yield f"### `{f'{name} {operands}'.strip()}`\n"
    yield f"{_cell((command.help or '').strip().split(chr(10) + chr(10))[0])}\n"
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        yield from _table("| option | |", [_click_option(command, each) for each in options])


def _click_option(command: click.Command, option: click.Option) -> tuple[str, str]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    metavar = "" if option.is_flag else f" {option.make_metavar(click.Context(command))}"
    usual = ", ".join(option.default) if isinstance(option.default, tuple) else option.default
    default = f" ({usual})" if isinstance(usual, (str, int)) and not option.is_flag and usual != "" else ""
    assert option.help, (command.name, option.name)
    return f"{names}{metavar}", option.help.rstrip(".") + default


def _daemons() -> Iterator[str]:
    yield "## Daemons\n"
    yield "Each takes the options of its own below, and those of every daemon.\n"
    for name in DAEMONS:
        daemon = importlib.import_module(f"ovenbird.daemon.{name}").daemon()
        known = letters(daemon.short)
        yield f"### `ovenbird {name}`\n"
        yield f"{daemon.usage.summary[0].upper()}{daemon.usage.summary[1:]}.\n"
        yield f"    ovenbird {name} {daemon.usage.synopsis}\n"
        yield from (
            f"{_cell(words[0].upper() + words[1:])}\n" for words in (daemon.usage.about, daemon.usage.notes) if words
        )
        yield from _table("| option | |", [_option(known, key, option) for key, option in daemon.own.items()])
    yield "### Every daemon\n"
    for group, options in GROUPS.items():
        yield from _table(
            f"| {group.lower()} | |", [_option(letters(None), key, option) for key, option in options.items()]
        )


def _option(known, name, option) -> tuple[str, str]:
    letter = f"`{known[name]}`, " if name in known else ""
    return f"{letter}`{option.spelled(name)}`", option.text + ("; may repeat" if option.repeats else "")


def _variables() -> Iterator[str]:
    yield "## Environment variables\n"
    yield from _table("| variable | |", [(f"`{name}`", words) for name, words in VARIABLES.items()])


def _beside() -> Iterator[str]:
    yield "## Beside the originals\n"
    yield (
        "`ovenbird db`, `northd` and `controller` take every option that `--help` of Debian's `ovsdb-server`,\n"
        "`ovn-northd` and `ovn-controller` shows, but these:\n"
    )
    rows = [(f"`{program}`", f"`--{name}`", why) for program, table in UNTAKEN.items() for name, why in table.items()]
    yield from _table("| program | option | |", rows)
    yield (
        "`--user` keeps no capability, where the originals keep CAP_NET_BIND_SERVICE: ports below 1024 are for root.\n"
        "`-vPATTERN:DESTINATION:PATTERN` and `-vFACILITY:NAME` are as in ovs-appctl(8); a pattern takes the place of "
        "`--log-format`.\n"
    )
    yield "Debian's `ovn-ctl` starts and stops our daemons where they stand under the originals' names. Its options:\n"
    yield from _table(
        "| option | |",
        [(", ".join(f"`{name}`" for name in names.split()), why) for names, why in OVN_CTL.items() if why],
    )
