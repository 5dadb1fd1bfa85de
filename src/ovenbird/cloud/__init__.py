"""Cloud to Northbound: pure rules, one file a resource, run by the engine.

``compiler`` makes an engine with all of them. Whoever runs it calls ``engine.run()`` after Cloud changed or somebody
touched Northbound, and writes the plan of each of ``engine.outputs`` in one transaction on Northbound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.cloud.network import PORTS_OF_SWITCH, SWITCH_PORTS, SWITCHES, network_switch, provider_port
from ovenbird.cloud.port import port_dhcp, port_groups, switch_port
from ovenbird.cloud.security_group import (
    ACLS_OF_GROUP,
    DROP_ACLS,
    PORT_GROUPS,
    PORTS_OF_GROUP,
    RULE_ACLS,
    drop_group,
    port_group,
    rule_acl,
)
from ovenbird.cloud.subnet import DHCP_OPTIONS, subnet_dhcp
from ovenbird.engine.engine import Engine

if TYPE_CHECKING:
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
)
"""Every rule from Cloud to Northbound."""

OUTPUTS = {
    SWITCHES: (PORTS_OF_SWITCH,),
    SWITCH_PORTS: (),
    DHCP_OPTIONS: (),
    PORT_GROUPS: (PORTS_OF_GROUP, ACLS_OF_GROUP),
    RULE_ACLS: (),
    DROP_ACLS: (),
}
"""What the rules own in Northbound: rows, and which of their set columns."""


def compiler(cloud: Store, northbound: Store) -> Engine:
    """Return an engine that keeps Northbound's rows as Cloud says."""
    engine = Engine((cloud,), RULES)
    for rows, members in OUTPUTS.items():
        engine.bind(rows, northbound, *members)
    return engine
