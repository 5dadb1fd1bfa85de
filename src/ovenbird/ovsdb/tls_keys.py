"""Keys of TLS: files that may change, may not fit together yet, or have to be fetched (ovsdb(7), ovs-vswitchd(8)).

A new connection that finds changed files makes a new TLS context. While the files are unusable no new connection is
made, and the reason is logged; a process that had usable files keeps their context until the new ones are usable. With
`bootstrap` a missing CA certificate is taken from the first server that is connected to.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovenbird.engine.rows import Row

_log = logging.getLogger(__name__)

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
"""The supported versions of TLS."""
UNSAFE = frozenset(("TLSv1", "TLSv1.1"))
"""Versions that Open vSwitch accepts and that are not supported here (RFC 8996)."""
SELF = "none"
"""In place of an authority's certificate: peers are not verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """The files and options of TLS.

    Arguments:
        private_key: this side's private key.
        certificate: its certificate.
        ca_cert: the certificate that peers must be signed with, or `none`.
        bootstrap: whether it is fetched from the first peer if it does not exist.
        peer_ca_cert: certificates sent along, for peers that bootstrap.
        protocols: versions of TLS, separated by commas or spaces; empty for all that are safe.
        ciphers: OpenSSL's list of ciphers for TLS 1.2; empty for its default.
    """

    private_key: str = ""
    certificate: str = ""
    ca_cert: str = ""
    bootstrap: bool = False
    peer_ca_cert: str = ""
    protocols: str = ""
    ciphers: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """The files."""
        return tuple(
            p for p in (self.private_key, self.certificate, self.ca_cert, self.peer_ca_cert) if p and p != SELF
        )


def of_switch(given: KeyFiles, rows: Iterable[Row]) -> KeyFiles:
    """Return the given files, or else those of Open_vSwitch's SSL table (ovs-vswitchd.conf.db(5)).

    Arguments:
        given: the options of the command line.
        rows: the table's rows, one at most.
    """
    if given.private_key:
        return given
    for row in rows:
        return replace(
            given,
            private_key=row["private_key"],
            certificate=row["certificate"],
            ca_cert=row["ca_cert"],
            bootstrap=row["bootstrap_ca_cert"],
        )
    return given


def versions(protocols: str) -> list[ssl.TLSVersion]:
    """Return the versions of TLS that a list names, lowest first; unsafe ones beside others are left out.

    Raises:
        ValueError: it names something else, or none that is safe.
    """
    names = protocols.replace(",", " ").split()
    for name in names:
        if name not in VERSIONS and name not in UNSAFE:
            raise ValueError(f"{name} is not a version of TLS; {', '.join(VERSIONS)} are supported")
    found = sorted({VERSIONS[name] for name in names if name in VERSIONS})
    if names and not found:
        raise ValueError(f"{', '.join(names)}: not safe any more (RFC 8996); {', '.join(VERSIONS)} are supported")
    return found or sorted(VERSIONS.values())


def check(files: KeyFiles) -> None:
    """Check the options that do not depend on files.

    Raises:
        ValueError: a version or cipher is unknown.
    """
    _restrict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)


def _restrict(context: ssl.SSLContext, files: KeyFiles) -> None:
    found = versions(files.protocols)
    context.minimum_version, context.maximum_version = found[0], found[-1]
    if files.ciphers:
        try:
            context.set_ciphers(files.ciphers)
        except ssl.SSLError as error:
            raise ValueError(f"{files.ciphers!r} selects no cipher") from error


class TlsKeys:
    """The keys of one process.

    Arguments:
        files: returns the present files and options.
    """

    def __init__(self, files: Callable[[], KeyFiles]) -> None:
        self._files = files
        self._made: dict[bool, tuple[Any, ssl.SSLContext]] = {}  # by side: what the context was made from, and it
        self._failed: dict[bool, tuple[Any, str]] = {}
        self._bootstrapping: WeakSet[ssl.SSLContext] = WeakSet()

    def server(self) -> ssl.SSLContext:
        """Return the SSL context for the next accepted connection.

        Raises:
            OSError: the files cannot be used now.
        """
        return self._context(server=True)

    def client(self) -> ssl.SSLContext:
        """Return the SSL context for the next outgoing connection.

        Raises:
            OSError: the files cannot be used now.
        """
        files = self._files()
        if files.bootstrap and files.ca_cert and not Path(files.ca_cert).exists():
            context = _load(_unverified(files), server=False)
            self._bootstrapping.add(context)
            return context
        return self._context(server=False)

    def connected(self, connection: ssl.SSLObject) -> None:
        """Check a new connection: one without verification only serves to fetch the CA certificate.

        Raises:
            OSError: the connection has to be made again.
        """
        if connection.context in self._bootstrapping:
            fetch_authority(connection, Path(self._files().ca_cert))
            raise OSError("connected without verifying the server, to get its authority's certificate; once more")

    def _context(self, *, server: bool) -> ssl.SSLContext:
        files = self._files()
        state = files, tuple(map(_state_of, files.paths))
        made = self._made.get(server)
        if made is not None and made[0] == state:
            return made[1]
        failed = self._failed.get(server)
        if failed is None or failed[0] != state:
            try:
                context = _load(files, server=server)
            except (OSError, ValueError) as error:
                failed = self._failed[server] = state, str(error)
                _log.warning("%s%s", error, "; the keys from before stay in use" if made is not None else "")
            else:
                self._made[server] = state, context
                return context
        if made is not None:
            return made[1]
        raise OSError(failed[1])


def _state_of(path: str) -> tuple[int, int, int] | None:
    with contextlib.suppress(OSError):
        found = Path(path).stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def _unverified(files: KeyFiles) -> KeyFiles:
    return KeyFiles(
        private_key=files.private_key,
        certificate=files.certificate,
        ca_cert=SELF,
        protocols=files.protocols,
        ciphers=files.ciphers,
    )


def _load(files: KeyFiles, *, server: bool) -> ssl.SSLContext:
    """Return an SSL context made from the present files.

    Raises:
        OSError, ValueError: some are missing or invalid.
    """
    if not (files.private_key and files.certificate and files.ca_cert):
        raise OSError("TLS needs a private key, a certificate and a CA certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the originals' peers are known by their authority, not by name
    _restrict(context, files)
    with _chain(files) as certificate:
        try:
            context.load_cert_chain(certificate, files.private_key)
        except OSError as error:  # an `SSLError` is one
            named = f"certificate {files.certificate} and private key {files.private_key}"
            raise OSError(f"TLS: {named}: {_reason(error)}") from error
    if files.ca_cert == SELF:
        context.verify_mode = ssl.CERT_NONE
    else:
        try:
            context.load_verify_locations(files.ca_cert)
        except OSError as error:
            raise OSError(f"TLS: CA certificate {files.ca_cert}: {_reason(error)}") from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or str(error)


@contextlib.contextmanager
def _chain(files: KeyFiles) -> Iterator[str]:
    """Yield the path of a file with the certificate and the certificates to send with it."""
    if not files.peer_ca_cert:
        yield files.certificate
        return
    text = b"\n".join(Path(path).read_bytes() for path in (files.certificate, files.peer_ca_cert))
    descriptor = os.memfd_create("certificates", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def fetch_authority(connection: ssl.SSLObject, path: Path) -> None:
    """Write the last certificate of a peer's chain to a file, if it is self-signed.

    Raises:
        OSError: it is not self-signed, or cannot be written.
    """
    chain = connection._sslobj.get_unverified_chain()  # type: ignore[attr-defined]  # noqa: SLF001 - public from 3.13 on
    text = chain[-1].public_bytes() if chain else ""
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if text:
        probe.load_verify_locations(cadata=text)
    if not any(found["subject"] == found["issuer"] for found in probe.get_ca_certs()):
        raise OSError("the server does not send its authority's certificate (its --peer-ca-cert): cannot bootstrap")
    _write_whole(path, text.encode())
    _log.info(
        "%s: written, the authority's certificate of the first server; those that follow must be signed by it", path
    )


def _write_whole(path: Path, content: bytes) -> None:
    """Write a new file atomically.

    Raises:
        OSError: it cannot be written, or there is one already.
    """
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o444)
            os.fsync(file.fileno())
        path.hardlink_to(made)  # where a rename would replace another's
    finally:
        Path(made).unlink()
