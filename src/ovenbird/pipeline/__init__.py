"""The definitions that northd and chassis share: stages, logical registers, OpenFlow tables (ovn-architecture(7)).

Numbers follow from the order of the names, or are OVN's own where OVN's chassis depend on them.
"""
