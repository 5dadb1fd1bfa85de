"""Addresses and packet codecs: bytes in, frozen values out, and back.

Every decoder either returns a value or raises `errors.PacketError`; nothing here depends on the rest of Ovenbird.
"""
