"""Features: what logical networks can do, one file each.

``FEATURES`` is all of them, in the order in which a packet meets them; northd is a loop over it. A feature owns its
flows in every stage, the rows that it writes, and the explanations of both (``northd.ir.feature``); parts that several
features share are in ``northd.ir`` and ``northd.shared``.
"""

from ovenbird.northd.router import (
    admission,
    bfd,
    dhcp_relay,
    dynamic_routing,
    gateway,
    ip_input,
    mac_binding,
    multicast_relay,
    nat,
    neighbor_resolution,
    router_advertisement,
    router_load_balancer,
    router_policies,
    routing,
)
from ovenbird.northd.shared import address_sets, binding, meters, rbac, table_miss, template_variables
from ovenbird.northd.switch import (
    acl,
    arp,
    conntrack,
    dhcp,
    dns,
    external_ports,
    fdb,
    forwarding_groups,
    health_check,
    ipam,
    l2_lookup,
    load_balancer,
    mirrors,
    multicast,
    port_security,
    qos,
    router_port,
    routing_protocols,
    vtep_gateway,
)
from ovenbird.pipeline.explanations import Explanations
from ovenbird.pipeline.stages import Stage

FEATURES = (
    binding.FEATURE,
    ipam.FEATURE,
    address_sets.FEATURE,
    meters.FEATURE,
    template_variables.FEATURE,
    rbac.FEATURE,
    table_miss.FEATURE,
    port_security.FEATURE,
    qos.FEATURE,
    mirrors.FEATURE,
    fdb.FEATURE,
    conntrack.FEATURE,
    acl.FEATURE,
    load_balancer.FEATURE,
    health_check.FEATURE,
    arp.FEATURE,
    dhcp.FEATURE,
    dhcp_relay.FEATURE,
    dns.FEATURE,
    external_ports.FEATURE,
    vtep_gateway.FEATURE,
    multicast.FEATURE,
    l2_lookup.FEATURE,
    forwarding_groups.FEATURE,
    router_port.FEATURE,
    routing_protocols.FEATURE,
    admission.FEATURE,
    neighbor_resolution.FEATURE,
    ip_input.FEATURE,
    multicast_relay.FEATURE,
    bfd.FEATURE,
    router_advertisement.FEATURE,
    routing.FEATURE,
    dynamic_routing.FEATURE,
    router_policies.FEATURE,
    gateway.FEATURE,
    nat.FEATURE,
    router_load_balancer.FEATURE,
    mac_binding.FEATURE,
)

EXPLANATIONS = Explanations(
    tables=tuple(dict.fromkeys(table for feature in FEATURES for table in feature.hints)),
    drops={
        (place.name, None) if isinstance(place, Stage) else (place[0].name, place[1]): why
        for feature in FEATURES
        for place, why in feature.drops.items()
    },
)
"""What `ovenbird trace` says of the flows of all features."""
