"""TLS from the originals' options: `--private-key`, `--certificate`, `--ca-cert` and the like (ovsdb(7)).

Errors in the options are reported at once; the files may be corrected while a daemon runs (`ovsdb.tls_keys`). With
ovsdb-server's `db:DB,TABLE,COLUMN` a database gives the value, and may change it later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import Options
from ovenbird.ovsdb.tls_keys import KeyFiles, TlsKeys, check

if TYPE_CHECKING:
    from collections.abc import Callable

TLS_OPTIONS = (
    "private-key",
    "certificate",
    "ca-cert",
    "bootstrap-ca-cert",
    "peer-ca-cert",
    "ssl-protocols",
    "ssl-ciphers",
)
"""The options."""

STORED = ("private-key", "certificate", "ca-cert", "ssl-protocols", "ssl-ciphers")
"""Those whose values a database's table SSL may have."""


def files(options: Options, value: Callable[[str], str] = str) -> KeyFiles:
    """Return what the options say now.

    Arguments:
        options: the command line.
        value: returns what the text of an option stands for.
    """
    said = {name: value(options.last(name) or "") for name in TLS_OPTIONS}
    return KeyFiles(
        private_key=said["private-key"],
        certificate=said["certificate"],
        ca_cert=said["ca-cert"] or said["bootstrap-ca-cert"],
        bootstrap=bool(said["bootstrap-ca-cert"] and not said["ca-cert"]),
        peer_ca_cert=said["peer-ca-cert"],
        protocols=said["ssl-protocols"],
        ciphers=said["ssl-ciphers"],
    )


def given(options: Options) -> KeyFiles:
    """Return what the options say once and for all.

    Raises:
        UsageError: an option is missing, or says what is not understood.
    """
    keys(options)
    return files(options)


def keys(options: Options, value: Callable[[str], str] | None = None) -> TlsKeys | None:
    """Return the keys that the options name; None if they name none.

    Arguments:
        options: the command line.
        value: returns what the text of an option stands for; without it a text stands for itself.

    Raises:
        UsageError: an option is missing, or says what is not understood.
    """
    named = [name for name in TLS_OPTIONS[:4] if options.has(name)]
    plain = files(options, lambda text: "" if value is not None and text.startswith("db:") else text)
    try:
        check(plain)
    except ValueError as e:
        raise UsageError(f"--ssl-protocols and --ssl-ciphers: {e}") from e
    if not named:
        return None
    if not {"private-key", "certificate"} <= {*named} or len(named) < 3:
        raise UsageError("TLS needs all of --private-key, --certificate and --ca-cert")
    return TlsKeys(lambda: files(options, value or str))


def of_database(options: Options, name: str, value: Callable[[str], str]) -> TlsKeys:
    """Return the keys that the options name, or else those that a database's table SSL says now (ovn-nb(5), ovn-sb(5)).

    Arguments:
        options: the command line.
        name: the database.
        value: returns what a text `db:DB,TABLE,COLUMN` stands for.

    Raises:
        UsageError: an option is missing, or says what is not understood.
    """
    given = keys(options)
    if given is not None:
        return given
    stored = {option: (f"db:{name},SSL,{option.replace('-', '_')}",) for option in STORED}
    return TlsKeys(lambda: files(Options({**stored, **options.given}), value))
