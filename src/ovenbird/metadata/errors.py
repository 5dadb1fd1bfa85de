"""Errors of the metadata service."""

from __future__ import annotations


class MetadataError(Exception):
    """Any failure of this package."""


class UnknownInstanceError(MetadataError):
    """No instance, or more than one, of this chassis and network has the address that a request came from."""


class PlumbingError(MetadataError):
    """A namespace, a veth pair or an address could not be made, inspected or removed."""


class RecordError(MetadataError):
    """The userdata file of an instance is invalid."""


class UpstreamError(MetadataError):
    """The metadata service behind the proxy gave no valid answer.

    Arguments:
        status: the HTTP status to return to the instance: 502, 503 or 504.
        message: what happened.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)
