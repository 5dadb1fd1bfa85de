"""Database errors that no resource has turned into more precise ones, as errors of the API."""

from __future__ import annotations

from ovenbird.api.errors.base import NeutronError
from ovenbird.api.errors.request import DatabaseNotWritable, RetryRequest, ServiceUnavailable
from ovenbird.ovsdb.errors import (
    Aborted,
    ConstraintViolation,
    Disconnected,
    InputOutputError,
    OvsdbError,
    ReferentialIntegrityViolation,
    TimedOut,
)

TRANSLATED: tuple[tuple[type[Exception], type[NeutronError]], ...] = (
    (Disconnected, ServiceUnavailable),
    (InputOutputError, DatabaseNotWritable),
    (TimedOut, RetryRequest),
    (ConstraintViolation, RetryRequest),
    (ReferentialIntegrityViolation, RetryRequest),
    (Aborted, RetryRequest),
    (OvsdbError, NeutronError),
)
"""What an error that comes from below is to the caller; the first line that fits."""


def from_database_error(error: Exception) -> NeutronError:
    """Return the API's error for one that a request ran into."""
    if isinstance(error, NeutronError):
        return error
    for below, above in TRANSLATED:
        if isinstance(error, below):
            return above()
    return NeutronError()
