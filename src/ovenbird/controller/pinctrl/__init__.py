"""Packet-ins, one kind in each file: each takes a packet and its flow's userdata, and returns messages for the switch.

Nothing here does I/O. A packet that does not have the form that its flow implies raises `net.errors.PacketError`.
"""
