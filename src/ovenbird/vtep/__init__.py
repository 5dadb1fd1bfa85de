"""Gateways to hosts behind physical switches: between the hardware_vtep database, vtep(5), and Southbound.

A physical switch is a chassis in Southbound. A port of type `vtep` that names one of its logical switches is bound to
that chassis; the network's tunnel key, and the endpoints behind which its MACs are, are written to hardware_vtep.
ovn-controller-vtep(8); ovn-architecture(7), "Life Cycle of a VTEP gateway".
"""
