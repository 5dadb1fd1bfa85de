"""Common policy rules, with Neutron's names and defaults.

Rules are in oslo.policy's language. ``create_network`` is about the request, ``create_network:shared`` about setting
that attribute, ``get_network:provider:network_type`` about reading it. An attribute without a rule follows its
resource. The roles are Keystone's: ``reader`` reads the resources of its project, ``member`` changes them, ``manager``
has some more rights, ``admin`` has all; ``service`` is for Nova and other services.

The rules are those of Neutron 29's defaults for the implemented resources (``oslopolicy-policy-generator --namespace
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
"""Operations that could harm other users of a network are the network owner's to decide."""

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
    "shared_address_scopes": "field:address_scopes:shared=True",
    "shared_address_groups": "field:address_groups:shared=True",
    "shared_security_group": "field:security_groups:shared=True",
    "network_device": "field:port:device_owner=~^network:",
    "compute_device": "field:port:device_owner=~^compute:",
    "baremetal_device": "field:port:device_owner=~^baremetal:",
    "manila_device": "field:port:device_owner=~^manila:",
}
"""Rules that other rules refer to; policy files use these names too."""


def each(rule: str, *names: str) -> dict[str, str]:
    """Return one rule under several names."""
    return dict.fromkeys(names, rule)


def tags(resource: str, *, reader: str, member: str) -> dict[str, str]:
    """Return the rules about a resource's tags.

    Arguments:
        resource: what rules call it.
        reader: the rule for reading them.
        member: the rule for changing them.
    """
    return {f"get_{resource}:tags": reader} | each(
        member, *(f"{verb}_{resource}:tags" for verb in ("create", "update", "delete"))
    )
