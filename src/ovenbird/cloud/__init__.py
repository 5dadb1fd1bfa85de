"""Cloud → Northbound: pure rules, one file for each resource, run by the engine.

``compiler`` makes an engine with all of them. Its owner calls ``engine.run()`` after a change of Cloud or Northbound,
and writes the plans of all ``engine.outputs`` in one transaction on Northbound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.cloud import gateway
from ovenbird.cloud.address_group import ADDRESS_SETS, address_sets
from ovenbird.cloud.dns import DNS, DNS_OF_SWITCH, port_names
from ovenbird.cloud.external_port import CHASSIS_OF_GROUP, HA_CHASSIS, HA_GROUPS
from ovenbird.cloud.floating_ip import (
    BALANCERS,
    BALANCERS_OF_ROUTER,
    BALANCERS_OF_SWITCH,
    FLOATING_IPS,
    floating_ip,
    port_forwardings,
)
from ovenbird.cloud.load_balancing import (
    ACLS_OF_SWITCH,
    CHECKS_OF_LISTENER,
    CLIENT_ACLS,
    HEALTH_CHECKS,
    LISTENERS,
    client_acls,
    listener_balancer,
    pool_probes,
    unreachable,
)
from ovenbird.cloud.network import PORTS_OF_SWITCH, SWITCH_PORTS, SWITCHES, network_switch, provider_port
from ovenbird.cloud.port import port_dhcp, port_groups, switch_port
from ovenbird.cloud.qos import QOS, QOS_OF_SWITCH, floating_ip_qos, gateway_qos, ineffective_limit
from ovenbird.cloud.router import (
    BFD_SESSIONS,
    CHASSIS_OF_PORT,
    GATEWAY_CHASSIS,
    NAT_OF_ROUTER,
    PORTS_OF_ROUTER,
    ROUTER_PORTS,
    ROUTERS,
    ROUTES_OF_ROUTER,
    SNATS,
    STATIC_ROUTES,
    external_port,
    extra_routes,
    internal_port,
    logical_router,
)
from ovenbird.cloud.security_group import (
    ACLS_OF_GROUP,
    PORT_GROUPS,
    PORTS_OF_GROUP,
    RULE_ACLS,
    UNDERLYING_ACLS,
    drop_group,
    logged_drops,
    port_group,
    rule_acl,
)
from ovenbird.cloud.security_group_log import BANDS_OF_METER, LOG_METERS, METER_BANDS, log_meters
from ovenbird.cloud.settings import ineffective_settings
from ovenbird.cloud.subnet import DHCP_OPTIONS, subnet_dhcp
from ovenbird.cloud.tap_mirror import MIRRORS, MIRRORS_OF_PORT, tap_mirror
from ovenbird.engine.engine import Engine

if TYPE_CHECKING:
    from ovenbird.engine.facts import Members, Rows
    from ovenbird.engine.rows import Store

RULES = (
    network_switch,
    provider_port,
    subnet_dhcp,
    switch_port,
    port_groups,
    port_dhcp,
    drop_group,
    port_group,
    rule_acl,
    logged_drops,
    log_meters,
    address_sets,
    logical_router,
    extra_routes,
    internal_port,
    external_port,
    floating_ip,
    port_forwardings,
    tap_mirror,
    floating_ip_qos,
    gateway_qos,
    ineffective_limit,
    port_names,
    listener_balancer,
    pool_probes,
    client_acls,
    unreachable,
    ineffective_settings,
)
"""Every rule from Cloud to Northbound."""

OUTPUTS: dict[Rows[Any], tuple[Members[Any, Any], ...]] = {
    HA_CHASSIS: (),
    HA_GROUPS: (CHASSIS_OF_GROUP,),
    SWITCHES: (PORTS_OF_SWITCH, DNS_OF_SWITCH, QOS_OF_SWITCH, BALANCERS_OF_SWITCH, ACLS_OF_SWITCH),
    SWITCH_PORTS: (MIRRORS_OF_PORT,),
    DHCP_OPTIONS: (),
    PORT_GROUPS: (PORTS_OF_GROUP, ACLS_OF_GROUP),
    RULE_ACLS: (),
    UNDERLYING_ACLS: (),
    LOG_METERS: (BANDS_OF_METER,),
    METER_BANDS: (),
    ADDRESS_SETS: (),
    ROUTERS: (PORTS_OF_ROUTER, ROUTES_OF_ROUTER, NAT_OF_ROUTER, BALANCERS_OF_ROUTER),
    ROUTER_PORTS: (CHASSIS_OF_PORT,),
    GATEWAY_CHASSIS: (),
    STATIC_ROUTES: (),
    BFD_SESSIONS: (),
    SNATS: (),
    FLOATING_IPS: (),
    BALANCERS: (),
    MIRRORS: (),
    LISTENERS: (CHECKS_OF_LISTENER,),
    HEALTH_CHECKS: (),
    CLIENT_ACLS: (),
    DNS: (),
    QOS: (),
}
"""The tables of Northbound that the rules own, with the set columns."""


def compiler(cloud: Store, *, northbound: Store, southbound: Store) -> Engine:
    """Return an engine that keeps Northbound's rows equal to what Cloud requires.

    Arguments:
        cloud: the resources.
        northbound: the database to write; whether ports are up is read from it.
        southbound: the chassis.
    """
    engine = Engine((cloud, northbound, southbound), RULES)
    gateway.seed(engine, northbound)
    for rows, members in OUTPUTS.items():
        engine.bind(rows, northbound, *members)
    return engine
