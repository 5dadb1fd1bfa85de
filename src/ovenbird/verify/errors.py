"""Errors in what somebody asks about a network."""

from __future__ import annotations


class VerifyError(Exception):
    """A question that has no answer; the text says what is wrong with it."""


class UnknownDatapathError(VerifyError):
    """No logical switch or router has that name or UUID."""


class AmbiguousDatapathError(VerifyError):
    """Several logical switches or routers have that name."""


class UnknownPortError(VerifyError):
    """No logical port has that name or address, or the one that has cannot send."""


class AmbiguousPortError(VerifyError):
    """Several logical ports have that name or address."""


class NoReplyError(VerifyError):
    """A packet that nobody answers, or that never arrived."""


class UnreachableDatabaseError(VerifyError):
    """A database cannot be read; the text says which and why."""
