"""The error of this package."""


class PacketError(ValueError):
    """Bytes are not the packet they should be, or a value does not fit its place in one."""
