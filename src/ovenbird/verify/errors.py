"""Errors in queries about a network."""

from __future__ import annotations


class VerifyError(Exception):
    """A request that cannot be traced; the text says why."""


class UnknownDatapathError(VerifyError):
    """No logical switch or router has that name or UUID."""


class AmbiguousDatapathError(VerifyError):
    """Several logical switches or routers have that name."""


class UnknownPortError(VerifyError):
    """No logical port with that name or address exists, or can send."""


class AmbiguousPortError(VerifyError):
    """Several logical ports have that name or address."""


class NoReplyError(VerifyError):
    """A packet has no reply, or was not delivered."""


class UnreachableDatabaseError(VerifyError):
    """A database cannot be read; the text says which and why."""
