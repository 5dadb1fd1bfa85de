"""`ovenbird settings`: list, read and change the settings that all processes of a cloud share."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.text import Text

from ovenbird.cli.options import rundir_option
from ovenbird.cli.remotes import chosen, key_options
from ovenbird.cli.tables import Sheet, show
from ovenbird.dataclass import dataclass
from ovenbird.model.settings import SETTINGS, Setting, SettingError, assignments, complaints, named, quoted
from ovenbird.model.stored_settings import UnreachableError, change, opened, options
from ovenbird.ovsdb.tls_keys import TlsKeys
from ovenbird.ovsdb.transaction import Client

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """The remote of Cloud, and the TLS keys for it."""

    remotes: str
    keys: TlsKeys | None

    def run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        """Do something with a client of Cloud.

        Arguments:
            work: what.

        Raises:
            ClickException: it cannot be done; one line says why.
        """

        async def connected() -> T:
            async with opened(self.remotes, self.keys) as client:
                return await work(client)

        logging.getLogger("ovenbird").addHandler(logging.NullHandler())  # errors are reported in one line, below
        try:
            return asyncio.run(connected())
        except (UnreachableError, SettingError) as error:
            raise click.ClickException(str(error)) from None

    def options(self) -> dict[str, str]:
        """Return the settings stored in Cloud, and print a warning for each that has no effect."""

        async def read(client: Client) -> dict[str, str]:
            return options(client.store)

        found = self.run(read)
        for text in complaints(found):
            click.echo(f"ovenbird: {text}", err=True)
        return found


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the location of Cloud to a command; it gets a `Place` as `place`."""

    def placed(*, db: str | None, rundir: Path, keys: TlsKeys | None, **given: Any) -> None:
        command(place=Place(chosen(db, database="cloud", rundir=rundir), keys), **given)

    placed.__doc__ = command.__doc__
    placed = key_options(placed)
    for option in (
        rundir_option,
        click.option(
            "--db",
            metavar="REMOTE",
            envvar="OVENBIRD_CLOUD_DB",
            show_envvar=True,
            help="Cloud: unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT; by default that of the run directory, else OVN's.",
        ),
    ):
        placed = option(placed)
    return placed


@click.group("settings")
def command() -> None:
    """Show and change the cloud's settings, which all its processes share. A change needs no restart."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@place_options
def list_settings(*, place: Place, as_json: bool) -> None:
    """List all settings with their values, defaults and meanings."""
    found = place.options()
    if as_json:
        click.echo(json.dumps([_entry(setting, found) for setting in SETTINGS.values()], indent=2))
        return
    sheet = Sheet("Settings of the cloud", "name", "value", "default", "meaning")
    for setting in SETTINGS.values():
        is_set = setting.among(found) is not None
        value = Text(quoted(_text(setting, found)), style="bold" if is_set else "dim")
        sheet.add_row(setting.name, value, quoted(setting.default_text), setting.meaning)
    show(sheet)


@command.command("get")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the default and the permitted values.")
@place_options
def get(*, place: Place, name: str, as_json: bool) -> None:
    """Print the value of a setting."""
    setting = _named(name)
    found = place.options()
    click.echo(json.dumps(_entry(setting, found), indent=2) if as_json else _text(setting, found))


@command.command("set")
@click.argument("words", metavar="NAME=VALUE...", nargs=-1, required=True)
@place_options
def set_settings(*, place: Place, words: tuple[str, ...]) -> None:
    """Change settings. If one of them is invalid, none is changed."""
    try:
        given = assignments(words)
    except SettingError as error:
        raise click.ClickException(str(error)) from None

    async def work(client: Client) -> dict[str, str]:
        before = options(client.store)
        await change(client, given)
        return before

    _tell(place.run(work), given)


@command.command("unset")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@place_options
def unset(*, place: Place, names: tuple[str, ...]) -> None:
    """Reset settings to their defaults. Unknown names in the database are removed."""

    async def work(client: Client) -> dict[str, str]:
        before = options(client.store)
        for name in names:
            if name not in before:
                named(name)
        await change(client, {}, names)
        return before

    before = place.run(work)
    _tell(before, {name: SETTINGS[name].default_text for name in names if name in SETTINGS})
    for name in names:
        if name not in SETTINGS:
            click.echo(f"{quoted(name)} is removed")


def _named(name: str) -> Setting[Any]:
    try:
        return named(name)
    except SettingError as error:
        raise click.ClickException(str(error)) from None


def _text(setting: Setting[Any], found: dict[str, str]) -> str:
    """Return the text of a setting's current value."""
    value = setting.among(found)
    return setting.default_text if value is None else setting.kind.write(value)


def _entry(setting: Setting[Any], found: dict[str, str]) -> dict[str, Any]:
    """Return a setting as JSON."""
    return {
        "name": setting.name,
        "value": _text(setting, found),
        "is_set": setting.among(found) is not None,
        "default": setting.default_text,
        "allowed": setting.kind.allowed,
        "meaning": setting.meaning,
        "effect": setting.effect,
    }


def _tell(before: dict[str, str], now: dict[str, str]) -> None:
    """Print the new and the old values of settings, and when a change takes effect."""
    for name, text in now.items():
        old = _text(SETTINGS[name], before)
        told = "unchanged" if old == text else f"it was {quoted(old)}; takes effect {SETTINGS[name].effect}"
        click.echo(f"{name} is {quoted(text)}: {told}")
