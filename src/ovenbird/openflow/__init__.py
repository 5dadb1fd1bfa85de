"""OpenFlow 1.3 with Open vSwitch's Nicira extensions and the ONF bundle extension.

Bytes in, values out: nothing here touches a socket except `transport`. The vocabulary is the specification's and
ovs-fields(7)'s and ovs-actions(7)'s; `fields` holds one row per match field, `match` and `actions` are the parts of a
flow, `messages` carries them, `connection` is the protocol without I/O.
"""
