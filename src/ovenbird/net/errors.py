"""The error of this package."""


class PacketError(ValueError):
    """Bytes are not a valid packet of the expected kind, or a value does not fit its field."""
