"""The API over TLS: options of the daemons that serve it.

Its key is not the databases' key. Databases and their clients authenticate each other by an authority of their own;
clients of the API know the server by its name and by authorities that the whole site trusts. They present no
certificate; they authenticate by password or token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import value
from ovenbird.ovsdb.tls_keys import SELF, KeyFiles, TlsKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.daemon.options import Option, Options

OPTIONS: Mapping[str, Option] = {
    "api-private-key": value(
        "FILE",
        text="serve the API over TLS (https) with this key, and --api-certificate; both are read again when "
        "they change",
    ),
    "api-certificate": value("FILE", text="the certificate of that key, followed by those of intermediate authorities"),
}


def keys(options: Options) -> TlsKeys | None:
    """Return the keys of the API; None where it is served without TLS.

    Raises:
        UsageError: one of the options is missing, or the files cannot be used.
    """
    key, certificate = options.last("api-private-key"), options.last("api-certificate")
    if not key and not certificate:
        return None
    if not (key and certificate):
        raise UsageError("the API over TLS needs both of --api-private-key and --api-certificate")
    made = TlsKeys(lambda: KeyFiles(private_key=key, certificate=certificate, ca_cert=SELF))
    try:
        made.server()
    except OSError as e:
        raise UsageError(str(e)) from e
    return made
