"""The settings that every process of a cloud shares: options of the one row of Cloud_Global, by name.

They are in the database so that all API processes and the compiler agree, and so that a change of one is a change like
any other: whoever read it acts on the new value.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ovenbird.model.cloud import CloudGlobal
from ovenbird.net.numbers import is_decimal

if TYPE_CHECKING:
    from ovenbird.engine.rows import Store

log = logging.getLogger(__name__)

METADATA = "metadata"
"""Whether each network has a port for the metadata service."""

DISTRIBUTED_FLOATING_IP = "distributed_floating_ip"
"""Whether a floating IP's traffic leaves where its instance runs, instead of through the router's gateway."""

GATEWAY_SCHEDULER = "gateway_scheduler"
"""How gateways are spread over chassis: `leastloaded` or `chance`."""

MIGRATION_ACTIVATION = "live_migration_activation_strategy"
"""What makes a port work at the place that its instance moves to: `rarp`, or nothing for at once."""

DNS_DOMAIN = "dns_domain"
"""Domain of instances on networks that name none."""

DNS_SERVERS = "dns_servers"
"""Name servers of instances on subnets that name none, between commas; without any, those of the compiler's host."""

LEASE_TIME = "dhcp_default_lease_time"
"""Seconds for which instances have their addresses before they ask again."""

PHYSICAL_MTU = "global_physnet_mtu"
"""Bytes of the largest packet that physical networks, and those below tunnels, carry."""

MAX_ROUTES = "max_routes"
"""How many extra routes a router may have."""

MAX_ADDRESS_PAIRS = "max_allowed_address_pair"
"""How many allowed address pairs a port may have."""

AGENT_DOWN_TIME = "agent_down_time"
"""Seconds after which an agent that has not answered counts as dead."""

MAC_BINDING_AGE = "mac_binding_age_threshold"
"""Seconds for which routers keep what they learned of a neighbour; 0 for ever."""

QUOTA = "quota_"
"""Before a resource's member name: how many of it a project may have that has no quota of its own; -1 for any."""

DEFAULTS = {
    METADATA: "false",
    DISTRIBUTED_FLOATING_IP: "false",
    GATEWAY_SCHEDULER: "leastloaded",
    MIGRATION_ACTIVATION: "rarp",
    DNS_DOMAIN: "openstacklocal.",
    PHYSICAL_MTU: "1500",
    MAX_ROUTES: "30",
    MAX_ADDRESS_PAIRS: "10",
    LEASE_TIME: "43200",
    AGENT_DOWN_TIME: "75",
    MAC_BINDING_AGE: "0",
}
"""What a setting is where nobody has said otherwise."""


def setting(store: Store, name: str, default: str = "") -> str:
    """Return a setting.

    Arguments:
        store: Cloud's rows; the reader depends on the settings.
        name: which.
        default: its value where neither the database nor `DEFAULTS` has one.
    """
    for row in store.table(CloudGlobal):
        if name in row.options:
            return row.options[name]
    return DEFAULTS.get(name, default)


def number(store: Store, name: str) -> int:
    """Return a setting that is a number of at most 32 bits; one that is none counts as not set."""
    text = setting(store, name)
    given = int(text) if is_decimal(text) else None
    if given is not None and given < 1 << 32:
        return given
    log.warning("the setting %s is no number: %s", name, text)
    return int(DEFAULTS[name])


def domain(store: Store, *given: str) -> str:
    """Return the first domain given that is not empty, or else the cloud's, without its final dot."""
    return (next(filter(None, given), "") or setting(store, DNS_DOMAIN)).rstrip(".")


def enabled(store: Store, name: str) -> bool:
    """Return whether a setting is on."""
    return setting(store, name).lower() in ("true", "1", "yes", "on")
