"""OVN's match and action language, without I/O: text in, values out (ovn-sb(5), table Logical_Flow).

`lexer` splits text into tokens, `parser` builds the tree of `ast`, and `symbols` lists every field, subfield and
predicate. `evaluate` is the reference evaluator of matches; `passes`, `dnf` and `compile` turn a match into OpenFlow
matches; `templates` compiles texts that differ only in constants once.
"""
