"""The userdata of instances: one JSON file per instance, named after the instance's id, in one directory.

The program that boots an instance writes its file before the instance starts; the metadata service reads the file at
each request. The members are `hostname`, `keys` (name to public key), `user_data` (base64), `meta` (string to string)
and `availability_zone`; all are optional. User data may hold secrets, so only the file's owner may read it.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ovenbird.dataclass import dataclass, field
from ovenbird.metadata.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


log = logging.getLogger(__name__)

_MISSED = 1000
"""Instances without a file for which it is remembered that the log already says so."""


@dataclass(frozen=True, slots=True)
class InstanceUserdata:
    """The userdata of one instance.

    Arguments:
        hostname: its host name; empty for the name of its port.
        keys: public keys by name, as in `authorized_keys`.
        user_data: the user's data for the instance; None for none.
        meta: the user's key-value pairs.
        availability_zone: the availability zone in which it runs.
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
        """Return the userdata from the content that `to_json` makes.

        Raises:
            RecordError: the content is invalid.
        """
        match value:
            case dict() if value.keys() <= cls().to_json().keys():
                known = {name: member for name, member in value.items() if member is not None}
            case _:
                raise RecordError("it is not an object with the members of such a file")
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
    """The directory of the userdata files.

    Arguments:
        directory: its path; it is made when the first file is written.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._missed: dict[str, None] = {}

    def path(self, device: str) -> Path:
        """Return the path of an instance's file."""
        return self.directory / f"{quote(device, safe='')}.json"

    def put(self, device: str, userdata: InstanceUserdata) -> None:
        """Write an instance's userdata atomically."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.path(device)
        draft = path.with_suffix(".new")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(userdata.to_json(), file)
        draft.replace(path)

    def get(self, device: str) -> InstanceUserdata:
        """Return an instance's userdata; without a file return the defaults, which is logged once.

        Raises:
            RecordError: its file is invalid, or cannot be read.
        """
        try:
            userdata = InstanceUserdata.from_json(json.loads(self.path(device).read_bytes()))
        except FileNotFoundError:
            self._miss(device)
            return InstanceUserdata()
        except OSError as error:
            raise RecordError(f"{self.path(device)}: {error.strerror}") from error
        except ValueError as error:
            raise RecordError(f"{self.path(device)} is not JSON: {error}") from error
        self._missed.pop(device, None)
        return userdata

    def _miss(self, device: str) -> None:
        """Log that an instance has no file, unless this was logged recently."""
        if device not in self._missed:
            log.warning("%s: no such boot file: the instance gets no keys and no user data", self.path(device))
        self._missed[device] = None
        if len(self._missed) > _MISSED:
            del self._missed[next(iter(self._missed))]

    def remove(self, device: str) -> None:
        """Remove an instance's file."""
        self.path(device).unlink(missing_ok=True)
