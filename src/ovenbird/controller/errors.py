"""Errors of the controller."""

from __future__ import annotations


class ControllerError(Exception):
    """Any failure of this package."""


class NotHereError(ControllerError):
    """An object that a command names is not on this chassis, or the switch is not connected."""


class PacketInError(ControllerError):
    """A packet-in does not have the form that its flow's action implies; it is dropped."""
