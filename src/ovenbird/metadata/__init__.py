"""The metadata service of one hypervisor: it serves 169.254.169.254 and fe80::a9fe:a9fe in networks with instances.

The localport of each network is an interface in a network namespace, plugged into the integration bridge. One process
serves the sockets that it opens in all these namespaces. A request is identified by its network and source address
(`instance_lookup`); a `Provider` answers it: Nova's metadata service, reached with signed headers, or files that hold
what each instance was booted with.
"""
