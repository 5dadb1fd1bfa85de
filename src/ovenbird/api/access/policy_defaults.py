"""Who may do what unless a policy file says otherwise: Neutron's rules, by Neutron's names.

Rules are in oslo.policy's language. ``create_network`` is about the request, ``create_network:shared`` about giving
that attribute, ``get_network:provider:network_type`` about seeing it. An attribute without a rule goes with its
resource. The roles are Keystone's: ``reader`` sees what its project has, ``member`` changes it, ``manager`` does a
little more, ``admin`` does everything; ``service`` is for Nova and its like.

The facts are those of Neutron 29's defaults for what this API has (``oslopolicy-policy-generator --namespace
neutron`` prints them); a test compares the two where Neutron is installed.
"""

from __future__ import annotations

ADMIN = "rule:admin_only"
OWN = "project_id:%(project_id)s"
READER = f"{ADMIN} or (role:reader and {OWN})"
MEMBER = f"{ADMIN} or (role:member and {OWN})"
MANAGER = f"{ADMIN} or (role:manager and {OWN})"
SERVICE = f"{ADMIN} or rule:service_api"
NET_READER = "(role:reader and rule:network_owner)"
NET_MEMBER = "(role:member and rule:network_owner)"
ON_NETWORK = f"{SERVICE} or {NET_MEMBER}"
"""Whose network it is decides about what could harm its other users."""

NAMES = {
    "context_is_admin": "role:admin",
    "context_is_advsvc": "role:advsvc",
    "context_with_global_access": "!",
    "service_api": "role:service",
    "owner": OWN,
    "admin_or_owner": "rule:context_is_admin or rule:owner",
    "admin_only": "rule:context_is_admin",
    "regular_user": "",
    "default": "rule:admin_or_owner",
    "network_owner": "project_id:%(network:project_id)s",
    "admin_or_network_owner": "rule:context_is_admin or rule:network_owner",
    "admin_owner_or_network_owner": "rule:owner or rule:admin_or_network_owner",
    "ext_parent_owner": "project_id:%(ext_parent:project_id)s",
    "admin_or_ext_parent_owner": "rule:context_is_admin or rule:ext_parent_owner",
    "sg_owner": "project_id:%(security_group:project_id)s",
    "admin_or_sg_owner": "rule:context_is_admin or rule:sg_owner",
    "admin_owner_or_sg_owner": "rule:owner or rule:admin_or_sg_owner",
    "shared": "field:networks:shared=True",
    "external": "field:networks:router:external=True",
    "external_network": "field:subnets:router:external=True",
    "shared_subnetpools": "field:subnetpools:shared=True",
    "shared_address_groups": "field:address_groups:shared=True",
    "shared_security_group": "field:security_groups:shared=True",
    "network_device": "field:port:device_owner=~^network:",
    "compute_device": "field:port:device_owner=~^compute:",
    "baremetal_device": "field:port:device_owner=~^baremetal:",
    "manila_device": "field:port:device_owner=~^manila:",
}
"""Rules that others are made of; policy files use these names too."""


def _each(rule: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, rule)


def _tags(resource: str, reader: str, member: str) -> dict[str, str]:
    return {f"get_{resource}:tags": reader} | _each(
        member, *(f"{verb}_{resource}:tags" for verb in ("create", "update", "delete"))
    )


PUBLIC = "rule:shared or rule:external or rule:context_is_advsvc"

NETWORK = {
    **_each(MEMBER, "create_network", "update_network", "delete_network"),
    "get_network": f"{READER} or rule:service_api or {PUBLIC}",
    **_each(MEMBER, "create_network:port_security_enabled", "update_network:port_security_enabled"),
    **_each(
        ADMIN,
        *(f"{verb}_network:provider:{part}" for verb in ("create", "get", "update")
          for part in ("network_type", "physical_network", "segmentation_id")),
        *(f"{verb}_network:{part}" for verb in ("create", "update")
          for part in ("shared", "router:external", "is_default", "segments")),
        "get_network:segments",
    ),
    **_tags("network", f"{READER} or {PUBLIC}", MEMBER),
}  # fmt: skip

ON_SUBNET = f"(role:member and {OWN}) or {ADMIN} or {NET_MEMBER}"
SEES_SUBNET = f"(role:reader and {OWN}) or rule:shared or rule:external_network or {ADMIN} or {NET_READER}"

SUBNET = {
    "create_subnet": f"{ADMIN} or {NET_MEMBER}",
    "get_subnet": f"{SEES_SUBNET} or rule:service_api",
    **_each(ON_SUBNET, "update_subnet", "delete_subnet"),
    **_each(
        ADMIN,
        "create_subnet:segment_id",
        "get_subnet:segment_id",
        "update_subnet:segment_id",
    ),
    **_tags("subnet", SEES_SUBNET, ON_SUBNET),
}

SEES_POOL = f"{READER} or rule:shared_subnetpools"

SUBNET_POOL = {
    **_each(MEMBER, "create_subnetpool", "update_subnetpool", "delete_subnetpool", "add_prefixes", "remove_prefixes",
            "onboard_network_subnets"),
    "get_subnetpool": SEES_POOL,
    **_each(ADMIN, "create_subnetpool:shared", "create_subnetpool:is_default", "update_subnetpool:is_default"),
    **_tags("subnetpool", SEES_POOL, MEMBER),
}  # fmt: skip

PORT_OWNER = f"({NET_MEMBER} or (role:member and {OWN}))"
SERVED_PORT = f"{MEMBER} or rule:service_api"
SOMEBODYS_DEVICE = "not rule:compute_device and not rule:baremetal_device and not rule:manila_device"
PAIRS = ("allowed_address_pairs", "allowed_address_pairs:mac_address", "allowed_address_pairs:ip_address")

PORT = {
    "create_port": f"{ON_NETWORK} or rule:shared",
    "get_port": f"{SERVICE} or {NET_READER} or (role:reader and {OWN})",
    "update_port": SERVED_PORT,
    "delete_port": f"{SERVICE} or (service_roles:service and {PORT_OWNER}) or ({SOMEBODYS_DEVICE} and {PORT_OWNER})",
    **_each(f"not rule:network_device or {ON_NETWORK}", "create_port:device_owner", "update_port:device_owner"),
    **_each(SERVED_PORT, "create_port:device_id", "update_port:device_id"),
    "create_port:mac_address": ON_NETWORK,
    "update_port:mac_address": f"{SERVICE} or (role:manager and rule:network_owner)",
    "create_port:fixed_ips": f"{ON_NETWORK} or rule:shared",
    "update_port:fixed_ips": ON_NETWORK,
    **_each(ON_NETWORK, "create_port:fixed_ips:ip_address", "update_port:fixed_ips:ip_address"),
    **_each(f"{ON_NETWORK} or rule:shared", "create_port:fixed_ips:subnet_id", "update_port:fixed_ips:subnet_id"),
    **_each(ON_NETWORK, *(f"{verb}_port:{part}" for verb in ("create", "update")
                          for part in ("port_security_enabled", *PAIRS))),
    **_each(SERVICE, "create_port:binding:host_id", "update_port:binding:host_id"),
    **_each("rule:service_api", "create_port:binding:profile", "update_port:binding:profile"),
    **_each(SERVED_PORT, "create_port:binding:vnic_type", "update_port:binding:vnic_type"),
    **_each(SERVICE, *(f"get_port:binding:{part}" for part in ("vif_type", "vif_details", "host_id", "profile"))),
    "get_port:resource_request": ADMIN,
    **_tags("port", f"rule:context_is_advsvc or {ADMIN} or {NET_READER} or (role:reader and {OWN})",
            f"{MEMBER} or rule:context_is_advsvc"),
    "delete_port:tags": f"rule:context_is_advsvc or {MEMBER} or {NET_MEMBER}",
}  # fmt: skip

GATEWAY = "external_gateway_info"

ROUTER = {
    **_each(MEMBER, "create_router", "update_router", "delete_router", "add_router_interface",
            "remove_router_interface", "add_extraroutes", "remove_extraroutes"),
    "get_router": READER,
    **_each(ADMIN, *(f"{verb}_router:{part}" for verb in ("create", "get", "update")
                     for part in ("distributed", "ha"))),
    **_each(MEMBER, *(f"{verb}_router:{part}" for verb in ("create", "update")
                      for part in (GATEWAY, f"{GATEWAY}:network_id"))),
    **_each(ADMIN, *(f"{verb}_router:{GATEWAY}:{part}" for verb in ("create", "update")
                     for part in ("enable_snat", "external_fixed_ips"))),
    **_tags("router", READER, MEMBER),
}  # fmt: skip

FLOATING_IP = {
    **_each(MEMBER, "create_floatingip", "update_floatingip", "delete_floatingip"),
    "get_floatingip": READER,
    "create_floatingip:floating_ip_address": MANAGER,
    **_tags("floatingip", READER, MEMBER),
}

SEES_GROUP = f"{READER} or rule:shared_security_group"

SECURITY_GROUP = {
    **_each(MEMBER, "create_security_group", "update_security_group", "delete_security_group"),
    "get_security_group": SEES_GROUP,
    "create_default_security_group": f"{SERVICE} or (role:reader and {OWN})",
    **_tags("security_group", SEES_GROUP, MEMBER),
    **_each(f"{ADMIN} or (role:member and rule:sg_owner)", "create_security_group_rule", "delete_security_group_rule"),
    "get_security_group_rule": f"{ADMIN} or (role:reader and rule:sg_owner)",
}

ADDRESS_GROUP = {
    **_each(MEMBER, "create_address_group", "update_address_group", "delete_address_group", "add_addresses",
            "remove_addresses"),
    "get_address_group": f"{READER} or rule:shared_address_groups",
}  # fmt: skip

CLOUD = {
    **_each(ADMIN, "create_agent", "get_agent", "update_agent", "delete_agent", "update_quota", "delete_quota"),
    "get_quota": MANAGER,
    "get_availability_zone": "role:reader",
    "get_network_ip_availability": ADMIN,
}

OURS = {
    "update_security_group_rule": f"{ADMIN} or (role:member and rule:sg_owner)",
    **_tags("address_group", f"{READER} or rule:shared_address_groups", MEMBER),
}
"""Rules about what cannot be done in Neutron, which has none for it."""

DEFAULTS: dict[str, str] = {
    **NAMES,
    **NETWORK,
    **SUBNET,
    **SUBNET_POOL,
    **PORT,
    **ROUTER,
    **FLOATING_IP,
    **SECURITY_GROUP,
    **ADDRESS_GROUP,
    **CLOUD,
    **OURS,
}
"""Rule by name."""
