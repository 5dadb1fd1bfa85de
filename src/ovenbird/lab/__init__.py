"""Labs: whole clouds on one machine, made of network namespaces with real Open vSwitch in them.

A lab is an underlay, hypervisors on it (each with its own switch and controller), instances plugged into these, and the
central programs. Commands and tests use it through `Lab`.
"""
