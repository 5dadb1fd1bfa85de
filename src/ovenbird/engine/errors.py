"""Errors of the engine. An exception raised by a rule does not propagate: it becomes a reported failure."""

from __future__ import annotations


class EngineError(Exception):
    """Any error of the engine itself."""


class CycleError(EngineError):
    """A view read itself, directly or through other views."""


class IdsExhaustedError(EngineError):
    """A pool has no free id in a scope; the reader runs again when one is released.

    Unless its rule handles it, this becomes a finding about the rule's subject.
    """


class NotUniqueError(EngineError):
    """A lookup that expects at most one row found several."""
