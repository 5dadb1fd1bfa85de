"""The default policy of the load balancing API, with Octavia's names.

Octavia has two sets of defaults: roles of its own, and Keystone's. Here both are good: `load-balancer_member` or
`member` changes the resources of its project, `load-balancer_observer` or `reader` reads them.
"""

from __future__ import annotations

OCTAVIA_POLICY = "os_load-balancer_api"

OWNER = "rule:load-balancer:owner"

SHARED_RULES: dict[str, str] = {
    "load-balancer:owner": "project_id:%(project_id)s",
    "load-balancer:admin": "role:admin or role:load-balancer_admin",
    "load-balancer:global_observer": "role:load-balancer_global_observer",
    "load-balancer:observer_and_owner": f"(role:load-balancer_observer or role:reader) and {OWNER}",
    "load-balancer:member_and_owner": f"(role:load-balancer_member or role:member) and {OWNER}",
    "load-balancer:quota-admin": "role:load-balancer_quota_admin",
    "load-balancer:read": "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer "
    "or rule:load-balancer:member_and_owner or rule:load-balancer:admin",
    "load-balancer:read-global": "rule:load-balancer:global_observer or rule:load-balancer:admin",
    "load-balancer:write": "rule:load-balancer:member_and_owner or rule:load-balancer:admin",
    "load-balancer:read-quota": "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer "
    "or rule:load-balancer:member_and_owner or rule:load-balancer:quota-admin or rule:load-balancer:admin",
    "load-balancer:read-quota-global": "rule:load-balancer:global_observer or rule:load-balancer:quota-admin "
    "or rule:load-balancer:admin",
    "load-balancer:write-quota": "rule:load-balancer:quota-admin or rule:load-balancer:admin",
}
"""The rules that others refer to; those of actions are made from these by `of`."""

READS, WRITES = ("get_all", "get_one"), ("post", "put", "delete")


def action(kind: str, *, what: str) -> str:
    """Return the name of the rule about an action.

    Arguments:
        kind: of resource, as in Octavia's rules: `loadbalancer`.
        what: the action: `get_one`.
    """
    return f"{OCTAVIA_POLICY}:{kind}:{what}"


def of(kind: str, *more: str) -> dict[str, str]:
    """Return the rules about a kind of resource.

    Arguments:
        kind: its name in Octavia's rules.
        more: further actions that read.
    """
    found = {action(kind, what=read): "rule:load-balancer:read" for read in (*READS, *more)}
    found |= {action(kind, what=write): "rule:load-balancer:write" for write in WRITES}
    return found | {action(kind, what="get_all-global"): "rule:load-balancer:read-global"}


def of_quotas() -> dict[str, str]:
    """Return the rules about quotas."""
    found = {action("quota", what=read): "rule:load-balancer:read-quota" for read in (*READS, "get_defaults")}
    found |= {action("quota", what=write): "rule:load-balancer:write-quota" for write in ("put", "delete")}
    return found | {action("quota", what="get_all-global"): "rule:load-balancer:read-quota-global"}


def of_provider() -> dict[str, str]:
    """Return the rules about the list of providers."""
    return {action("provider", what="get_all"): "rule:load-balancer:read"}
