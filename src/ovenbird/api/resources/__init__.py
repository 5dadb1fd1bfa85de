"""The resources of the API, one in each file. A new one is added to the list here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.resources.address_group import AddressGroups
from ovenbird.api.resources.address_scope import AddressScopes
from ovenbird.api.resources.agent import Agents
from ovenbird.api.resources.availability_zone import AvailabilityZones
from ovenbird.api.resources.bgp_peer import BGPPeers
from ovenbird.api.resources.bgp_speaker import BGPSpeakers
from ovenbird.api.resources.default_security_group_rule import DefaultSecurityGroupRules
from ovenbird.api.resources.default_statefulness import DefaultStatefulnesses
from ovenbird.api.resources.finding import Findings
from ovenbird.api.resources.flavor import Flavors
from ovenbird.api.resources.floating_ip import FloatingIPs
from ovenbird.api.resources.network import Networks
from ovenbird.api.resources.network_ip_availability import NetworkIPAvailabilities
from ovenbird.api.resources.port import Ports
from ovenbird.api.resources.port_forwarding import PortForwardings
from ovenbird.api.resources.qos_policy import QosPolicies
from ovenbird.api.resources.qos_rule import BY_ALIAS, NESTED
from ovenbird.api.resources.qos_rule_type import QosRuleTypes
from ovenbird.api.resources.rbac_policy import RBACPolicies
from ovenbird.api.resources.router import Routers
from ovenbird.api.resources.security_group import SecurityGroups
from ovenbird.api.resources.security_group_log import LoggableResources, SecurityGroupLogs
from ovenbird.api.resources.security_group_rule import SecurityGroupRules
from ovenbird.api.resources.service_profile import ServiceProfiles
from ovenbird.api.resources.subnet import Subnets
from ovenbird.api.resources.subnet_pool import SubnetPools
from ovenbird.api.resources.tap_mirror import TapMirrors
from ovenbird.api.resources.trunk import Trunks

if TYPE_CHECKING:
    from ovenbird.api.read_only_resource import ReadOnlyResource
    from ovenbird.api.resource import Resource

RESOURCES: tuple[type[Resource[Any]], ...] = (
    Networks,
    Subnets,
    Ports,
    SecurityGroups,
    SecurityGroupRules,
    DefaultSecurityGroupRules,
    DefaultStatefulnesses,
    SecurityGroupLogs,
    Routers,
    FloatingIPs,
    PortForwardings,
    AddressGroups,
    AddressScopes,
    SubnetPools,
    RBACPolicies,
    BGPPeers,
    BGPSpeakers,
    Flavors,
    ServiceProfiles,
    TapMirrors,
    Trunks,
    QosPolicies,
    *NESTED,
    *BY_ALIAS,
)
"""All writable resources."""

READ_ONLY: tuple[type[ReadOnlyResource], ...] = (
    Agents,
    AvailabilityZones,
    Findings,
    LoggableResources,
    NetworkIPAvailabilities,
    QosRuleTypes,
)
"""All read-only resources."""

EMPTY = {"service-providers": "service_providers"}
"""Collections that clients list by default and that are always empty here: the name in URLs, and that in bodies."""
