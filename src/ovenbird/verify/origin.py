"""What stands behind a logical flow: the Northbound row it was made for, and what that row was made for in its turn.

Flows carry the first eight digits of a Northbound row's UUID (`stage-hint`, ovn-northd(8)); rows made for Neutron
carry the UUIDs of its objects (`neutron:security_group_rule_id`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovenbird.engine.rows import UUID
from ovenbird.model import cloud, nb, sb

if TYPE_CHECKING:
    from ovenbird.engine.rows import Row, Store

_RULE = "neutron:security_group_rule_id"
SOURCES: tuple[type[Row], ...] = (
    nb.ACL,
    nb.LogicalSwitchPort,
    nb.LogicalSwitch,
    nb.DHCPOptions,
    nb.LogicalRouterPort,
    nb.LogicalRouterStaticRoute,
    nb.NAT,
    nb.QoS,
)
"""Tables whose rows logical flows name by the beginning of their UUID."""


_DEFAULTS = {
    "ls_in_l2_unknown": "no port of the switch has that MAC address, and none takes unknown ones",
    "ls_in_check_port_sec": "the frame has a VLAN tag, or a group for its source",
    "ls_in_apply_port_sec": "the port is disabled",
    "ls_out_check_port_sec": "the port is disabled",
    "ls_out_apply_port_sec": "the port is disabled",
}
"""Why a packet ends in a stage by a flow that was made for no row."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a flow comes from.

    Arguments:
        northbound: the Northbound row, if it is known.
        owners: names of the switches and port groups that an ACL belongs to.
        rule: the security group rule, if the row was made for one and Cloud is at hand.
    """

    northbound: Row | None
    owners: tuple[str, ...] = ()
    rule: cloud.SecurityGroupRule | None = None

    def __bool__(self) -> bool:
        return self.northbound is not None

    def __str__(self) -> str:
        row = self.northbound
        if row is None:
            return ""
        if not isinstance(row, nb.ACL):
            return f"{row.TABLE.lower().replace('_', ' ')} {_name(row)}"
        acl = f"acl {row.direction} {row.priority} {row.action}"
        if self.rule is not None:
            return f"{describe_rule(self.rule)}, by {acl}"
        if _RULE in row.external_ids:
            return f"security group rule {row.external_ids[_RULE]}, by {acl}: {row.match}"
        return f"{acl} of {' and '.join(self.owners) or 'nobody'}: {row.match}"

    def to_json(self) -> dict[str, Any]:
        """Return the origin for programs."""
        found: dict[str, Any] = {"text": str(self)}
        row = self.northbound
        if row is not None:
            found |= {"table": row.TABLE, "uuid": row.uuid, "name": _name(row)}
            if isinstance(row, nb.ACL) and _RULE in row.external_ids:
                found["security_group_rule"] = row.external_ids[_RULE]
        if self.rule is not None:
            found["security_group"] = cloud.SecurityGroupRule.security_group.raw(self.rule)
        return found


class Origins:
    """Finds origins in the databases that are at hand.

    Arguments:
        northbound: Northbound's rows, if at hand.
        cloud_store: Cloud's rows, if at hand.
    """

    def __init__(self, northbound: Store | None = None, cloud_store: Store | None = None) -> None:
        self._cloud = cloud_store
        self._by_hint: dict[str, Row] = {}
        if northbound is None:
            return
        for row_class in SOURCES:
            for row in northbound.table(row_class).rows.values():
                self._by_hint.setdefault(row.uuid[:8], row)

    def of(self, flow: sb.LogicalFlow) -> Origin:
        """Return what stands behind a flow."""
        row = self._by_hint.get(flow.external_ids.get("stage-hint", ""))
        if not isinstance(row, nb.ACL):
            return Origin(row)
        owners = [*row.referrers(nb.LogicalSwitch.acls), *row.referrers(nb.PortGroup.acls)]
        names = tuple(sorted(f"{owner.TABLE.lower().replace('_', ' ')} {owner['name']}" for owner in owners))
        rule = None
        if self._cloud is not None and _RULE in row.external_ids:
            rule = self._cloud.table(cloud.SecurityGroupRule).rows.get(UUID(row.external_ids[_RULE]))
        return Origin(row, names, rule)


def explain(stage: str, refused: str = "") -> str:
    """Return why a packet ends in a stage by a flow that was made for no row; empty if that says nothing.

    Arguments:
        stage: the stage's name.
        refused: the port security that the packet is against, if it is.
    """
    return (refused if stage.endswith("apply_port_sec") else "") or _DEFAULTS.get(stage, "")


def describe_rule(rule: cloud.SecurityGroupRule) -> str:
    """Return a security group rule in words."""
    what = [rule.direction, rule.ethertype, rule.protocol or "any protocol"]
    if rule.port_range_min is not None:
        ports = {rule.port_range_min, rule.port_range_max if rule.port_range_max is not None else rule.port_range_min}
        what.append("port " + "-".join(str(p) for p in sorted(ports)))
    if rule.remote_ip_prefix:
        what.append(f"remote {rule.remote_ip_prefix}")
    if (other := rule.remote_group) is not None:
        what.append(f"remote group {other.name}")
    return f"security group rule {rule.uuid} ({', '.join(what)}) of {rule.security_group.name}"


def _name(row: Row) -> str:
    """Return a row's name, and behind it the name that people gave it; its UUID if it has none."""
    columns = type(row).BY_NAME
    name: str = (row["name"] if "name" in columns else "") or row.uuid
    ids: dict[str, str] = row["external_ids"] if "external_ids" in columns else {}
    friendly = ids.get("neutron:port_name") or ids.get("neutron:network_name")
    return f"{name} ({friendly})" if friendly else name
