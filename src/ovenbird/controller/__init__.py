"""Southbound → OpenFlow on one chassis (ovn-controller(8), ovn-architecture(7)).

The controller is a compiler. Rules read two databases, Southbound and the local Open_vSwitch, and yield facts (`facts`
has them all): flows of the integration bridge with their groups and meters, edits (a column of a row that ought to hold
something else), the clauses of what to monitor, and what the chassis is to say. An edit is a discrepancy: when it is
written, the rule that found it runs again and finds nothing, so whatever anybody breaks is repaired by the lines that
made it.

`controller` puts it together and keeps both databases. `local` knows what is here; `logical_flows` and `physical` are
the rules that yield flows; `ofctrl` is the bridge over OpenFlow, `pinctrl` answers what the bridge hands up, and
`protocols` sends what the chassis sends of its own accord. `southbound` is what is monitored and what is written.
"""
