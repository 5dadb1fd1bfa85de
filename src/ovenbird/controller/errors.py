"""What can go wrong in the controller."""

from __future__ import annotations


class ControllerError(Exception):
    """Any failure of this package."""


class ConfigurationError(ControllerError):
    """Open_vSwitch lacks a setting that the controller cannot do without, or holds one that makes no sense."""


class PacketError(ControllerError):
    """A packet that the switch handed up is not what its flow promised; it is dropped."""
