"""An authority, and keys with certificates that it signed, made on the spot."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*args: object) -> None:
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Authority:
    """Signs certificates; its own is at `certificate`.

    Arguments:
        folder: where keys and certificates go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self._key = folder / "authority.pem", folder / "authority.key"
        _openssl(
            "req", "-x509", *_NEW_KEY, "-subj", "/CN=authority", "-days", 2, "-keyout", self._key,
            "-out", self.certificate,
        )  # fmt: skip

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return a new key and a certificate for the common name."""
        key, request, made = (self.folder / f"{name}.{end}" for end in ("key", "req", "pem"))
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", 2,
            "-out", made,
        )  # fmt: skip
        return key, made

    def options(self, name: str) -> list[str]:
        """Return the options that a daemon takes for a new key of this name."""
        key, certificate = self.issue(name)
        return [f"--private-key={key}", f"--certificate={certificate}", f"--ca-cert={self.certificate}"]
