"""Southbound → OpenFlow on one chassis (ovn-controller(8), ovn-architecture(7)).

The controller is a compiler. Rules read two databases, Southbound and the local Open_vSwitch, and yield facts (see
`facts`): flows of the integration bridge with their groups and meters, edits (a column of a row that should have
another value), monitor conditions, and packets that the chassis is to send. An edit is a difference: when it has been
written, the rule that found it runs again and finds none, so changes by others are reverted by the same lines that
wrote the value.

`controller` composes the parts and maintains both databases. `local` determines what is on this chassis;
`logical_flows` and `physical` are the rules that yield flows; `ofctrl` maintains the bridge over OpenFlow, `pinctrl`
handles packet-ins, and `protocols` sends packets periodically or at events. `southbound` is what is monitored and what
is written.
"""
