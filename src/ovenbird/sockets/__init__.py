"""Sockets that strangers connect to: how many connections there may be, and of whom.

Protocols know nothing of this, and this knows nothing of protocols.
"""
