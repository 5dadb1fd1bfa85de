"""Gateways to hosts behind physical switches: between the hardware_vtep database, vtep(5), and Southbound.

A physical switch is a chassis; where one of its logical switches is named by a port of type `vtep`, the port is bound
to that chassis, and the physical switch is told the network's tunnel key and where the network's MACs are.
ovn-controller-vtep(8); ovn-architecture(7), "Life Cycle of a VTEP gateway".
"""
