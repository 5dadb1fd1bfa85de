"""Answers about a network, read from its Southbound database: what happens to a packet, and why.

Everything here only reads, and works against any OVN deployment. `trace` follows one packet by the actions' own
`evaluate`; `conntrack` remembers the connections that it commits; `origin` says which Northbound row, and which
security group rule, stands behind a logical flow.
"""
