"""What all chassis and compilers agree on: stages, logical registers and OpenFlow tables (ovn-architecture(7)).

Numbers are computed from the order of names, or are OVN's own where chassis of the original meet them.
"""
