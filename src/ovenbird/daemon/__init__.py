"""Entry points: composition only. Each module here parses a command line, wires parts together and runs them.

The command lines are the originals' (ovsdb-server(1), ovn-northd(8), ovn-controller(8)), so that a wrapper named like
one of them can run ours in its place.
"""
