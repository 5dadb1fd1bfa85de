"""The network API, Neutron's v2.0: HTTP in, one transaction on Cloud out.

``app`` routes requests; ``resource`` says what a resource is, ``resources/`` has them; ``attributes`` and ``values``
check bodies, ``query`` what lists ask for; ``databases`` commits, ``rendering`` remembers encoded rows; ``errors`` is
every refusal. ``service`` runs it all on a loopback address.
"""
