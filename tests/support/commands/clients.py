"""The database clients of OVN, run as daemons: each command of a script, what it says, and the rows that result."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from support.commands import manual
from support.commands.control import Answer, ask
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.controller.site import Site

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIND = re.compile(r"<(\S+) (\S+)>")
_OPTIONS = re.compile(r"^(?:\[[^\]]*--[^\]]*(?:\[[^\]]*\][^\]]*)?\]\s*|--\w+\s+)+")


def manual_commands(page: str) -> set[str] | None:
    """Return the commands of a client's manual page; None if it is not installed."""
    text = manual.source(page, 8)
    if text is None:
        return None
    found = {_OPTIONS.sub("", entry).split()[0] for entry in manual.entries(text, "COMMANDS") if entry.strip()}
    return {name for name in found if re.fullmatch(r"[a-z][a-z\d]*(?:-[a-z\d]+)+|[a-z]{3,7}", name)}


def script(path: Path) -> Iterator[str]:
    """Yield the commands of a script."""
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            yield line


def command_names(line: str) -> set[str]:
    """Return the commands of a line."""
    parts = " ".join(shlex.split(line)).split(" -- ")
    return {next(word for word in part.split() if not word.startswith("--")) for part in parts}


class Client:
    """A client that runs as a daemon.

    Arguments:
        site: the deployment.
        program: `ovn-nbctl` or `ovn-sbctl`.
        database: `nb` or `sb`.
    """

    def __init__(self, site: Site, program: str, database: str) -> None:
        self._socket = site.directory / f"{program}.ctl"
        remote = f"--db=unix:{site.directory}/{database}.sock"
        site.run(
            program, remote, f"--unixctl={self._socket}", "--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off"
        )
        until(self._socket.exists)

    def run(self, line: str) -> Answer:
        """Return what a command says, with every UUID replaced."""

        def found(match: re.Match[str]) -> str:
            return self.ask("--bare", "--columns=_uuid", "find", match[1], match[2]).text.strip()

        answer = self.ask(*[_FIND.sub(found, word) for word in _words(line)])
        return answer._replace(text=_UUID.sub("UUID", answer.text))

    def ask(self, *words: str) -> Answer:
        """Return what a command says."""
        return ask(self._socket, "run", *words)

    def close(self) -> None:
        """End the daemon."""
        ask(self._socket, "exit")

    def rows(self, tables: set[str], without: Callable[[str, str], bool]) -> list[str]:
        """Return the rows of tables, as texts in which rows are named by what they contain.

        Arguments:
            tables: by name.
            without: returns whether to leave out a table's column.
        """
        rows = {}
        for table in sorted(tables):
            shown = json.loads(self.ask("--format=json", "list", table).text)
            for values in shown["data"]:
                row = dict(zip(shown["headings"], values, strict=True))
                uuid = row.pop("_uuid")[1]
                rows[uuid] = (table, {name: value for name, value in row.items() if not without(table, name)})
        names = {uuid: _UUID.sub("", json.dumps(row, sort_keys=True)) for uuid, row in rows.items()}
        return sorted(json.dumps((table, _named(row, names)), sort_keys=True) for table, row in rows.values())


def _words(line: str) -> list[str]:
    """Return the words of a line, in which `<TABLE CONDITION>` is one."""
    kept = _FIND.sub(lambda found: found[0].replace(" ", "\0").replace('"', "\1"), line)
    return [word.replace("\0", " ").replace("\1", '"') for word in shlex.split(kept)]


def _named(value: Any, names: dict[str, str]) -> Any:
    """Return a value of OVSDB's notation in which rows are named by their contents, and sets are sorted."""
    match value:
        case ["uuid", str() as uuid]:
            return names.get(uuid, "a row")
        case ["set" | "map" as kind, list() as members]:
            return [kind, sorted((_named(each, names) for each in members), key=json.dumps)]
        case list():
            return [_named(each, names) for each in value]
        case dict():
            return {name: _named(each, names) for name, each in value.items()}
        case _:
            return value
