"""OpenFlow 1.5 with Open vSwitch's Nicira extensions, and Netronome's for groups.

The package converts between bytes and values; only `transport` does I/O. Names are those of the specification,
ovs-fields(7) and ovs-actions(7). `fields` has one row per match field, `match` and `actions` are the parts of a flow,
`messages` are the messages, and `connection` is the protocol without I/O.
"""
