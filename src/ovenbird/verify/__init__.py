"""Answers about a network, read from its Southbound database: what happens to a packet, and why.

Everything here only reads, and works against any OVN deployment. `trace` follows one packet by the actions' own
`evaluate`; `conntrack` keeps the connections that it commits, `learned_addresses` keeps what chassis would learn;
`provenance` finds the Northbound row, and the security group rule, that a logical flow was made for.
"""
