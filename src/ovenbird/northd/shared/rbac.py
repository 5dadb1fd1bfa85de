"""The permissions of the role `ovn-controller` in Southbound: the same rows as the original's (ovn-architecture(7)).

A chassis may change its own rows, identified by its name, and in shared rows the columns that controllers write. Roles
and permissions with other names belong to the operator and are not changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import NamedRows
from ovenbird.engine.rules import singleton
from ovenbird.model import sb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.feature import Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID

ROLE = "ovn-controller"
_ANYBODY = ""
_P = sb.RBACPermission

PERMISSIONS: dict[str, tuple[str, bool, tuple[str, ...]]] = {
    "Chassis": (
        "name", True, ("nb_cfg", "external_ids", "encaps", "vtep_logical_switches", "other_config", "transport_zones"),
    ),
    "Chassis_Private": ("name", True, ("nb_cfg", "nb_cfg_timestamp", "chassis", "external_ids")),
    "Encap": ("chassis_name", True, ("type", "options", "ip")),
    "Port_Binding": (
        _ANYBODY, False,
        ("chassis", "additional_chassis", "encap", "additional_encap", "up", "virtual_parent", "options"),
    ),
    "MAC_Binding": (_ANYBODY, True, ("logical_port", "ip", "mac", "datapath", "timestamp")),
    "Service_Monitor": (_ANYBODY, False, ("status",)),
    "Controller_Event": (_ANYBODY, True, ("chassis", "event_info", "event_type", "seq_num")),
    "IGMP_Group": (_ANYBODY, True, ("address", "datapath", "chassis", "ports")),
    "BFD": (_ANYBODY, False, ("status",)),
    "FDB": (_ANYBODY, True, ("dp_key", "mac", "port_key", "timestamp")),
}  # fmt: skip
"""For each table: the authorization column, whether rows may be inserted and deleted, and the writable columns."""


class PermissionRow(NamedTuple):
    """What a role may do to a table's rows."""

    relation: Relation
    table: str
    authorization: frozenset[str]
    insert_delete: bool
    update: frozenset[str]


class RoleRow(NamedTuple):
    """A role, with its permissions by table."""

    relation: Relation
    name: str
    permissions: tuple[tuple[str, UUID], ...]


RBAC_PERMISSION = NamedRows(
    _P, PermissionRow, key=_P.table, key_of=lambda row: row.table if row.table in PERMISSIONS else None
)
RBAC_ROLE = NamedRows(
    sb.RBACRole, RoleRow, key=sb.RBACRole.name, key_of=lambda row: row.name if row.name == ROLE else None
)


@singleton
def controller_role() -> Iterator[Fact]:
    """Write the RBAC role of controllers."""
    for table, (owner, insert_delete, update) in PERMISSIONS.items():
        yield RBAC_PERMISSION(
            table, authorization=frozenset([owner]), insert_delete=insert_delete, update=frozenset(update)
        )
    yield RBAC_ROLE(ROLE, permissions=tuple((table, RBAC_PERMISSION.uuid(table)) for table in sorted(PERMISSIONS)))


FEATURE = Feature("rbac", rules=(controller_role,), outputs=(RBAC_PERMISSION, RBAC_ROLE))
