"""Features: what logical networks can do, one file each.

``FEATURES`` is all of them, in the order in which a packet meets them; northd is a loop over it. A feature owns its
flows in every stage; what several share is in ``logical``.
"""

from ovenbird.features import (
    acl,
    arp,
    binding,
    conntrack,
    defaults,
    dhcp,
    dns,
    external,
    fdb,
    l2,
    meters,
    port_security,
    router_port,
    sets,
)

FEATURES = (
    binding.FEATURE,
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
)
