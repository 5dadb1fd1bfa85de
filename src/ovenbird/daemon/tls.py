"""TLS from the originals' options: `--private-key`, `--certificate`, `--ca-cert` and their kin (ovsdb(7))."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from ovenbird.daemon.errors import UsageError

if TYPE_CHECKING:
    from ovenbird.daemon.options import Options


def context(options: Options, *, server: bool) -> ssl.SSLContext | None:
    """Return the context for connections accepted (`server`) or made; None if no keys were given.

    Peers are verified against `--ca-cert`, both ways; `--ca-cert=none` turns that off, as in the originals.

    Raises:
        UsageError: an option is missing, or its file is no good.
    """
    key, certificate = options.last("private-key"), options.last("certificate")
    authority = options.last("ca-cert") or options.last("bootstrap-ca-cert")
    if key is None and certificate is None and authority is None:
        return None
    if key is None or certificate is None or authority is None:
        raise UsageError("TLS needs all of --private-key, --certificate and --ca-cert")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False  # the originals' peers are known by their authority, not by name
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(certificate, key)
        if authority == "none":
            made.verify_mode = ssl.CERT_NONE
        else:
            made.load_verify_locations(authority)
            made.verify_mode = ssl.CERT_REQUIRED
        if (ciphers := options.last("ssl-ciphers")) is not None:
            made.set_ciphers(ciphers)
    except (OSError, ssl.SSLError) as e:
        raise UsageError(f"TLS: {certificate}, {key}, {authority}: {e.strerror or e}") from e
    return made
