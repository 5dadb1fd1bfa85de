"""The network API, Neutron's v2.0: HTTP in, one transaction on Cloud out.

`http/` takes requests in and routes them, and runs the service on a loopback address; `access/` says who asks and what
they may; `resource` says what a resource is, `resources/` has them; `ports/` is what ports consist of. `attributes` and
`values` check bodies, `query` what lists ask for; `databases` commits, `rendering` remembers encoded rows; `errors/` is
every refusal.
"""
