"""What stands behind a logical flow: the Northbound row it was made for, and what that row was made for in its turn.

Flows carry the first eight digits of a Northbound row's UUID (``stage-hint``, ovn-northd(8)); rows made for Neutron
carry the UUIDs of its objects (``neutron:security_group_rule_id``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovenbird.model import cloud, nb, sb

if TYPE_CHECKING:
    from ovenbird.engine.rows import Row, Store

_RULE = "neutron:security_group_rule_id"
_SOURCES: tuple[type[Row], ...] = (
    nb.ACL,
    nb.LogicalSwitchPort,
    nb.LogicalSwitch,
    nb.DHCPOptions,
    nb.LogicalRouterPort,
    nb.LogicalRouterStaticRoute,
    nb.NAT,
    nb.QoS,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a flow comes from.

    Arguments:
        northbound: the Northbound row, if it is known.
        rule: the security group rule, if the row was made for one and Cloud is at hand.
    """

    northbound: Row | None
    rule: cloud.SecurityGroupRule | None

    def __str__(self) -> str:
        lines = []
        row = self.northbound
        if isinstance(row, nb.ACL):
            lines.append(f"acl {row.direction} {row.priority} {row.action}: {row.match}")
            if self.rule is None and _RULE in row.external_ids:
                lines.append(f"security group rule {row.external_ids[_RULE]}")
        elif row is not None:
            name = row["name"] if "name" in type(row).BY_NAME else row.uuid
            lines.append(f"{row.TABLE.lower().replace('_', ' ')} {name}")
        if self.rule is not None:
            lines.append(describe_rule(self.rule))
        return "; ".join(lines)


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
        for row_class in _SOURCES:
            for row in northbound.table(row_class).rows.values():
                self._by_hint.setdefault(row.uuid[:8], row)

    def of(self, flow: sb.LogicalFlow) -> Origin:
        """Return what stands behind a flow."""
        row = self._by_hint.get(flow.external_ids.get("stage-hint", ""))
        rule = None
        if self._cloud is not None and row is not None and "external_ids" in type(row).BY_NAME:
            rule = self._cloud.table(cloud.SecurityGroupRule).rows.get(row["external_ids"].get(_RULE))
        return Origin(row, rule)


def describe_rule(rule: cloud.SecurityGroupRule) -> str:
    """Return a security group rule in words."""
    what = [rule.direction, rule.ethertype, rule.protocol or "any protocol"]
    if rule.port_range_min is not None:
        ports = {rule.port_range_min, rule.port_range_max if rule.port_range_max is not None else rule.port_range_min}
        what.append("port " + "-".join(str(p) for p in sorted(ports)))
    if rule.remote_ip_prefix:
        what.append(f"remote {rule.remote_ip_prefix}")
    return f"security group rule {rule.uuid} ({', '.join(what)}) of {rule.security_group.name}"
