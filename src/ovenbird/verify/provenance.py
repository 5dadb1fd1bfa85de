"""What a logical flow was made for: its Northbound row, and the row of Neutron's that this row was made for.

Flows carry the first eight digits of a Northbound row's UUID (`stage-hint`, ovn-northd(8)); rows that were made for
Neutron carry the UUIDs of its objects (`neutron:security_group_rule_id`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ovenbird.engine.rows import UUID
from ovenbird.model import cloud, nb, sb

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovenbird.engine.rows import Column, Row, Store

_RULE = "neutron:security_group_rule_id"
_FLOATING = "neutron:fip_id"

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
        owners: names of the switches, port groups and routers that the row belongs to.
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
        what, says = _SENTENCES.get(type(row), _named)(row)
        if self.rule is not None:
            return f"{describe_rule(self.rule)}, by {what}"
        if isinstance(row, nb.ACL) and _RULE in row.external_ids:
            return f"security group rule {row.external_ids[_RULE]}, by {what}: {says}"
        if isinstance(row, nb.NAT) and _FLOATING in row.external_ids:
            what = f"floating IP {row.external_ids[_FLOATING]}, by {what}"
        if type(row) in OWNERS:
            what += f" of {' and '.join(self.owners) or 'nobody'}"
        return f"{what}: {says}" if says else what

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


class Provenance:
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
        if row is None:
            return Origin(None)
        owners = [owner for column in OWNERS.get(type(row), ()) for owner in row.referrers(column)]
        names = tuple(sorted(f"{_noun(owner)} {owner['name']}" for owner in owners))
        rule = None
        if self._cloud is not None and isinstance(row, nb.ACL) and _RULE in row.external_ids:
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


def _noun(row: Row) -> str:
    return row.TABLE.lower().replace("_", " ")


def _named(row: Row) -> tuple[str, str]:
    return f"{_noun(row)} {_name(row)}", ""


def _acl(row: nb.ACL) -> tuple[str, str]:
    return f"acl {row.direction} {row.priority} {row.action}", row.match


def _qos(row: nb.QoS) -> tuple[str, str]:
    return f"qos {row.direction} {row.priority}", row.match


def _nat(row: nb.NAT) -> tuple[str, str]:
    return f"nat {row.type} {row.logical_ip} as {row.external_ip}", ""


def _route(row: nb.LogicalRouterStaticRoute) -> tuple[str, str]:
    table = f" in route table {row.route_table}" if row.route_table else ""
    source = " for sources" if row.policy == "src-ip" else ""
    out = f" out of {row.output_port}" if row.output_port else ""
    return f"static route {row.ip_prefix}{source} via {row.nexthop}{out}{table}", ""


def _policy(row: nb.LogicalRouterPolicy) -> tuple[str, str]:
    hops = sorted(row.nexthops) or ([row.nexthop] if row.nexthop else [])
    via = f" via {', '.join(hops)}" if row.action == "reroute" else ""
    return f"routing policy {row.priority} {row.action}{via}", row.match


def _dhcp_options(row: nb.DHCPOptions) -> tuple[str, str]:
    return f"dhcp options {row.cidr}", ""


_SENTENCES: dict[type[Row], Callable[[Any], tuple[str, str]]] = {
    nb.ACL: _acl,
    nb.DHCPOptions: _dhcp_options,
    nb.LogicalRouterPolicy: _policy,
    nb.LogicalRouterStaticRoute: _route,
    nb.NAT: _nat,
    nb.QoS: _qos,
}
"""What a row is in words and, behind it, the packets that it is about; rows of other tables have names."""

OWNERS: dict[type[Row], tuple[Column[Any], ...]] = {
    nb.ACL: (nb.LogicalSwitch.acls, nb.PortGroup.acls),
    nb.LogicalRouterPolicy: (nb.LogicalRouter.policies,),
    nb.LogicalRouterStaticRoute: (nb.LogicalRouter.static_routes,),
    nb.NAT: (nb.LogicalRouter.nat,),
    nb.QoS: (nb.LogicalSwitch.qos_rules,),
}
"""The columns by which rows without a name belong to somebody."""

SOURCES: tuple[type[Row], ...] = (
    *OWNERS,
    *(nb.DHCPOptions, nb.LogicalRouter, nb.LogicalRouterPort, nb.LogicalSwitch, nb.LogicalSwitchPort, nb.PortGroup),
)
"""Tables whose rows logical flows name by the beginning of their UUID, and the owners of these."""
