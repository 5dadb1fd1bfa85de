"""What compilers and chassis share: stages, logical registers and OpenFlow tables (ovn-architecture(7)).

Numbers are computed from the order of names, or are OVN's own where the original's chassis depend on them.
"""
