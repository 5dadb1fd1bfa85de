"""Errors of the metadata service."""

from __future__ import annotations


class MetadataError(Exception):
    """Any failure of this package."""


class UnknownInstanceError(MetadataError):
    """No instance, or more than one, of this chassis and network has the address that a request came from."""


class PlumbingError(MetadataError):
    """A namespace, a cable or an address could not be made, inspected or removed."""


class RecordError(MetadataError):
    """The file about an instance's boot holds something else."""


class UpstreamError(MetadataError):
    """The metadata service behind the proxy gave no usable answer.

    Arguments:
        status: the HTTP status to tell the instance: 502, 503 or 504.
        message: what happened.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)
