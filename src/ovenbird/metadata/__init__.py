"""The metadata service of one hypervisor: 169.254.169.254 and fe80::a9fe:a9fe for every network with instances here.

Each network's localport is a namespace with a cable into the integration bridge; sockets opened inside it are served by
the one process. Who asks is known by network and source address; what is answered comes from a `Source`: Nova's
metadata service behind signed headers, or files that say what instances were booted with.
"""
