"""Typed rows of the four databases: `cloud`, `nb`, `sb` and `vswitch`; `types` has the columns they are made of.

Each database's module offers its row classes, `ROWS` (all of them) and `schema()`.
"""
