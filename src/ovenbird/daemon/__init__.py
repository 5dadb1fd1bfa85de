"""Entry points: each module parses a command line, connects the parts and runs them; it contains nothing else.

The command lines are the originals' (ovsdb-server(1), ovn-northd(8), ovn-controller(8)), so that a wrapper with the
name of one of them can run ours in its place.
"""
