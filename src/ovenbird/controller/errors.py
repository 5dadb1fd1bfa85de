"""Errors of the controller."""

from __future__ import annotations


class ControllerError(Exception):
    """Any failure of this package."""


class NotHereError(ControllerError):
    """What a command names is not on this chassis, or the switch is not there."""


class PacketInError(ControllerError):
    """A packet that the switch handed up is not what its flow promised; it is dropped."""
