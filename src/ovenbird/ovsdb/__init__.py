"""OVSDB (RFC 7047): the nouns of the RFC without I/O, then a server and a replica.

`types` and `schema` say what a database may hold, `notation` how values are written. `condition`, `mutation` and
`operation` are what clients ask, `transaction` what comes of it, with `integrity` looking after references. `journal`
and `compaction` keep it on disk, `monitor` tells who watches. `server` and `session` serve it; `replica` and `mirror`
follow somebody else's; `transport` is the wire of both.
"""
