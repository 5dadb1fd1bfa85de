"""The network API, Neutron's v2.0: each HTTP request that changes something is one transaction on Cloud.

`http/` receives and routes requests and runs the service on a socket; `access/` authenticates callers and evaluates
policies and quotas; `resource` defines what a resource is, and `resources/` contains them; `ports/` has the parts of
ports. `attributes` and `values` validate bodies, `query` parses list requests, `databases` commits changes, `rendering`
caches encoded rows, and `errors/` has all errors.
"""
