"""What instances were booted with: one JSON file per instance, named after the instance's id, in one directory.

Whoever boots an instance writes its file before the instance starts; the metadata service reads the file at each
request. The members are `hostname`, `keys` (name to public key), `user_data` (base64), `meta` (string to string) and
`availability_zone`; each may be missing. User data may hold secrets, so only the file's owner may read it.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ovenbird.metadata.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


log = logging.getLogger(__name__)

_MISSED = 1000
"""Instances without a file of which it is remembered that this was said."""


@dataclass(frozen=True, slots=True)
class InstanceUserdata:
    """What one instance was booted with.

    Arguments:
        hostname: its name; empty for that of its port.
        keys: public keys by name, as in `authorized_keys`.
        user_data: what the user wants the instance to find; None for nothing.
        meta: pairs that the user gave.
        availability_zone: where it runs.
    """

    hostname: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    user_data: bytes | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    availability_zone: str = "nova"

    def to_json(self) -> dict[str, Any]:
        """Return the file's content."""
        data = None if self.user_data is None else base64.b64encode(self.user_data).decode()
        return {
            "hostname": self.hostname,
            "keys": dict(self.keys),
            "user_data": data,
            "meta": dict(self.meta),
            "availability_zone": self.availability_zone,
        }

    @classmethod
    def from_json(cls, value: Any) -> InstanceUserdata:
        """Read what `to_json` gave.

        Raises:
            RecordError: it is something else.
        """
        match value:
            case dict() if value.keys() <= cls().to_json().keys():
                known = {name: member for name, member in value.items() if member is not None}
            case _:
                raise RecordError("no object of the members that such a file has")
        data = known.pop("user_data", None)
        maps = [known.get("keys", {}), known.get("meta", {})]
        texts = [known.get("hostname", ""), known.get("availability_zone", "")]
        for pairs in maps:
            if not isinstance(pairs, dict):
                raise RecordError("`keys` and `meta` are objects")
            texts += pairs.values()
        if not all(isinstance(text, str) for text in texts):
            raise RecordError("names, keys and meta are strings")
        try:
            return cls(user_data=None if data is None else base64.b64decode(data, validate=True), **known)
        except (binascii.Error, TypeError) as error:
            raise RecordError(f"`user_data` is not base64: {error}") from error


class UserdataStore:
    """The directory of these files.

    Arguments:
        directory: made when the first file is put there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._missed: dict[str, None] = {}

    def path(self, device: str) -> Path:
        """Return the file about an instance."""
        return self.directory / f"{quote(device, safe='')}.json"

    def put(self, device: str, userdata: InstanceUserdata) -> None:
        """Record what an instance is booted with, in one step."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.path(device)
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(userdata.to_json(), file)
        draft.replace(path)

    def get(self, device: str) -> InstanceUserdata:
        """Return what an instance was booted with; nothing in particular if nobody has said, which is logged once.

        Raises:
            RecordError: its file is damaged, or cannot be read.
        """
        try:
            userdata = InstanceUserdata.from_json(json.loads(self.path(device).read_bytes()))
        except FileNotFoundError:
            self._miss(device)
            return InstanceUserdata()
        except OSError as error:
            raise RecordError(f"{self.path(device)}: {error.strerror}") from error
        except ValueError as error:
            raise RecordError(f"{self.path(device)} is no JSON: {error}") from error
        self._missed.pop(device, None)
        return userdata

    def _miss(self, device: str) -> None:
        """Say that an instance has no file, unless that has been said of late."""
        if device not in self._missed:
            log.warning("%s: no such boot file: the instance gets no keys and no user data", self.path(device))
        self._missed[device] = None
        if len(self._missed) > _MISSED:
            del self._missed[next(iter(self._missed))]

    def remove(self, device: str) -> None:
        """Forget an instance."""
        self.path(device).unlink(missing_ok=True)
