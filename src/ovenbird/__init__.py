"""Ovenbird: a complete virtual network for clouds.

A tower of compilers over OVSDB databases: the Neutron API writes Cloud, `cloud` compiles it to Northbound,
`northd` compiles that to Southbound, and one `controller` per hypervisor compiles that to OpenFlow.
`docs/architecture.md` is the map.
"""

__version__ = "0.1.0"
