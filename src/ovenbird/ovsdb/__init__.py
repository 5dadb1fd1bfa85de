"""OVSDB (RFC 7047): the nouns of the RFC without I/O, then a server and a replica.

`types` and `schema` say what a database may hold, `notation` how values are written. `condition`, `mutation` and
`operation` are the parts of client requests; `transaction` stages the changes, and `integrity` checks references.
`journal` and `compaction` store the database on disk; `monitor` composes updates. `server` and `session` serve clients;
`replica` and `row_updates` follow a remote server; `transport` carries the messages of both.
"""
