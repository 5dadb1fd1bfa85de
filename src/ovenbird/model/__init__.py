"""Typed rows of the four databases: `cloud`, `nb`, `sb` and `vswitch`; `types` has their kinds of columns.

Each database's module offers its row classes, `ROWS` (all of them) and `schema()`.
"""
