"""Typed rows of the databases: `cloud`, `nb`, `sb`, `ic_nb`, `ic_sb`, `vswitch`, `vtep`; `types` has the column types.

Each database's module offers its row classes, `ROWS` (all of them) and `schema()`.
"""
