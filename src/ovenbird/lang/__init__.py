"""OVN's match and action language, without I/O: text in, values out (ovn-sb(5), table Logical_Flow).

`lexer` cuts text into tokens, `parser` makes the tree of `ast`, `symbols` knows every field, subfield and predicate,
`evaluate` says plainly what a match means, `passes`, `dnf` and `compile` turn it into OpenFlow matches, `templates`
compile what differs only in constants once.
"""
