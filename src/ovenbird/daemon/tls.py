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
"""The options whose values a database's table SSL can have."""


def files(options: Options, value: Callable[[str], str] = str) -> KeyFiles:
    """Return the present files and options of TLS.

    Arguments:
        options: the command line.
        value: returns the value of an option's text.
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
    """Return the fixed options of TLS.

    Raises:
        UsageError: an option is missing or invalid.
    """
    keys(options)
    return files(options)


def keys(options: Options, value: Callable[[str], str] | None = None) -> TlsKeys | None:
    """Return the keys of the options; None without any.

    Arguments:
        options: the command line.
        value: returns the value of an option's text; by default, the text itself.

    Raises:
        UsageError: an option is missing or invalid.
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
    """Return the keys of the options, or else the present ones of a database's table SSL (ovn-nb(5), ovn-sb(5)).

    Arguments:
        options: the command line.
        name: the database.
        value: returns the value of `db:DB,TABLE,COLUMN`.

    Raises:
        UsageError: an option is missing or invalid.
    """
    given = keys(options)
    if given is not None:
        return given
    stored = {option: (f"db:{name},SSL,{option.replace('-', '_')}",) for option in STORED}
    return TlsKeys(lambda: files(Options({**stored, **options.given}), value))
