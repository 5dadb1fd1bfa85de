"""Packets that flows hand up, one kind a file: a packet-in and what its flow said, in; messages for the switch, out.

Nothing here does I/O. A packet that is not what its flow promised raises `net.errors.PacketError`.
"""
