"""Errors that end a daemon before it has started: one line for the person who typed the command."""

from __future__ import annotations


class UsageError(Exception):
    """The command line or the environment does not let the daemon start."""
