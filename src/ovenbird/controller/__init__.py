"""Southbound → OpenFlow on one chassis (ovn-controller(8), ovn-architecture(7)).

The controller is a compiler. Rules read two databases, Southbound and the local Open_vSwitch, and yield three kinds of
facts: flows of the integration bridge, edits (a column of a row that ought to hold something else), and the clauses of
what to monitor. An edit is a discrepancy: when it is written, the rule that found it runs again and finds nothing, so
whatever anybody breaks is repaired by the lines that made it. `controller` alone does I/O.
"""
