"""Ovenbird: a complete virtual network for clouds.

A sequence of compilers between OVSDB databases: the Neutron API writes Cloud, `cloud` compiles it to Northbound,
`northd` compiles that to Southbound, and one `controller` per hypervisor compiles that to OpenFlow.
`docs/architecture.md` describes them.
"""

__version__ = "0.1.0"
