"""Labs: whole clouds on one machine, of network namespaces with real Open vSwitch in them.

A lab is an underlay, hypervisors on it (each with its own switch and controller), instances plugged into them, and the
central programs. `Lab` is the way in, for commands and for tests.
"""
