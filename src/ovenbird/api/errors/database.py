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
"""The API's error for each error of the database; the first matching line applies."""


def from_database_error(error: Exception) -> NeutronError:
    """Return the API's error for an exception during a request."""
    if isinstance(error, NeutronError):
        return error
    for below, above in TRANSLATED:
        if isinstance(error, below):
            return above()
    return NeutronError()
