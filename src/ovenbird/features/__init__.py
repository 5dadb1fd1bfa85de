"""Features: what logical networks can do, one file each.

``FEATURES`` is all of them, in the order in which a packet meets them; northd is a loop over it. A feature owns its
flows in every stage; what several share is in ``logical``.
"""

from ovenbird.features import (
    acl,
    addressing,
    arp,
    bfd,
    binding,
    conntrack,
    defaults,
    dhcp,
    dns,
    external,
    fdb,
    gateway,
    l2,
    meters,
    nat,
    neighbours,
    policy,
    port_security,
    router_admission,
    router_advertisement,
    router_input,
    router_port,
    routing,
    sets,
)

FEATURES = (
    binding.FEATURE,
    addressing.FEATURE,
    sets.FEATURE,
    meters.FEATURE,
    defaults.FEATURE,
    port_security.FEATURE,
    fdb.FEATURE,
    conntrack.FEATURE,
    acl.FEATURE,
    arp.FEATURE,
    dhcp.FEATURE,
    dns.FEATURE,
    external.FEATURE,
    l2.FEATURE,
    router_port.FEATURE,
    router_admission.FEATURE,
    neighbours.FEATURE,
    router_input.FEATURE,
    bfd.FEATURE,
    router_advertisement.FEATURE,
    routing.FEATURE,
    policy.FEATURE,
    gateway.FEATURE,
    nat.FEATURE,
)
