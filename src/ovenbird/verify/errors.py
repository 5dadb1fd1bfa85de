"""What a question about a network can be wrong about."""

from __future__ import annotations


class VerifyError(Exception):
    """A question that has no answer; the text says what is wrong with it."""


class UnknownDatapathError(VerifyError):
    """No logical switch or router has that name or UUID."""


class AmbiguousDatapathError(VerifyError):
    """Several logical switches or routers have that name."""
