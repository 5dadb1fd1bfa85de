"""Security groups: a port group for each, an ACL for each rule, and the port group that drops all other traffic."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.cloud.security_group_log import accept_log, drop_log, drops_everywhere, log_columns
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.rules import rule, singleton
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb
from ovenbird.model.protocols import ICMP, PROTOCOLS, number
from ovenbird.net.ip import ip_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation
    from ovenbird.engine.rows import UUID

PRIORITY_ALLOW, PRIORITY_LOGGED_DROP, PRIORITY_DROP = 1002, 1001, 1000
"""Neutron's ACL priorities."""

PRIORITY_DHCP = 1003
"""Neutron has no such ACL."""

TRANSPORT = {PROTOCOLS[name]: name for name in ("tcp", "udp", "sctp")}
"""Protocols with ports in the match language, by number."""

DHCP_REQUESTS = "(ip4 && udp.src == 68 && udp.dst == 67) || (ip6 && udp.src == 546 && udp.dst == 547)"
"""Without the port, so that it costs one flow for a switch rather than for each port; others may send these anyway."""

UNDERLYING = {
    ("from-lport", f"inport == @{names.DROP_GROUP} && ip"): (PRIORITY_DROP, "drop"),
    ("to-lport", f"outport == @{names.DROP_GROUP} && ip"): (PRIORITY_DROP, "drop"),
    ("from-lport", DHCP_REQUESTS): (PRIORITY_DHCP, "allow-stateless"),
}
"""The ACLs of every port with port security: priority and action, by direction and match. Instances may ask for their
addresses whatever security groups say; northd lets the answers of its own DHCP pass."""


LOGGED_DROP = re.compile(rf"(in|out)port == @pg_[0-9a-f_]{{36}} && ip|ip && (in|out)port == @{names.DROP_GROUP}")
"""The matches of ACLs that drop and log."""


class PortGroupRow(NamedTuple):
    """A port group, without its ports and ACLs."""

    relation: Relation
    name: str
    external_ids: Pairs


class RuleAclRow(NamedTuple):
    """The ACL of a security group rule."""

    relation: Relation
    external_ids: Pairs
    direction: str
    match: str
    priority: int
    action: str
    log: bool = False
    name: str | None = None
    severity: str | None = None
    meter: str | None = None
    label: int = 0
    options: Pairs = ()


class UnderlyingAclRow(NamedTuple):
    """An ACL of the port group of all ports with port security."""

    relation: Relation
    direction: str
    match: str
    external_ids: Pairs
    priority: int
    action: str
    log: bool = False
    name: str | None = None
    severity: str | None = None
    meter: str | None = None
    label: int = 0
    options: Pairs = ()


def _own_group(row: nb.PortGroup) -> str | None:
    return row.name if row.name == names.DROP_GROUP or row.name.startswith("pg_") else None


def _own_underlying(row: nb.ACL) -> tuple[str, str, Pairs] | None:
    if row.external_ids or not ((row.direction, row.match) in UNDERLYING or LOGGED_DROP.fullmatch(row.match)):
        return None
    return row.direction, row.match, ()


PORT_GROUPS = NamedRows(nb.PortGroup, PortGroupRow, key=nb.PortGroup.name, key_of=_own_group)
RULE_ACLS = names.RowsById(nb.ACL, RuleAclRow, lambda ids: ids.get("neutron:security_group_rule_id"))
UNDERLYING_ACLS = NamedRows(
    nb.ACL, UnderlyingAclRow, key=(nb.ACL.direction, nb.ACL.match, nb.ACL.external_ids), key_of=_own_underlying
)
PORTS_OF_GROUP = Members(PORT_GROUPS, nb.PortGroup.ports)
ACLS_OF_GROUP = Members(PORT_GROUPS, nb.PortGroup.acls)


@view
def is_stateful(group: cloud.SecurityGroup) -> bool:
    """Return whether a security group is stateful; a view, so that rules depend on nothing else of their group."""
    return group.stateful


@singleton
def drop_group() -> Iterator[Fact]:
    """Yield the port group of all ports with port security; its ACLs drop IP that no rule allows, both ways."""
    yield PORT_GROUPS(names.DROP_GROUP, external_ids=())
    for (direction, match), (priority, action) in UNDERLYING.items():
        yield UNDERLYING_ACLS(direction=direction, match=match, external_ids=(), priority=priority, action=action)
        yield ACLS_OF_GROUP(names.DROP_GROUP, UNDERLYING_ACLS.uuid((direction, match, ())))


@rule(cloud.SecurityGroup)
def port_group(group: cloud.SecurityGroup) -> Iterator[Fact]:
    """Yield the port group of a security group; northd makes its two address sets."""
    ids = ((names.REVISION, str(group.revision_number)), ("neutron:security_group_id", group.uuid))
    name = names.port_group(group.uuid)
    yield PORT_GROUPS(name, external_ids=ids)
    log = drop_log(group)
    if log is not None:
        yield from _logged_drops(name, log, "{port} == @{group} && ip")


@rule(cloud.SecurityGroupLog)
def logged_drops(log: cloud.SecurityGroupLog) -> Iterator[Fact]:
    """Yield the ACLs that drop what no rule allows at any port, if this is the log of it."""
    if drops_everywhere(log):
        yield from _logged_drops(names.DROP_GROUP, log.uuid, "ip && {port} == @{group}")


def _logged_drops(group: str, log: UUID, match: str) -> Iterator[Fact]:
    """Yield ACLs that drop and log.

    Arguments:
        group: the name of the port group that has them.
        log: the log.
        match: their match, with `port` and `group` in braces.
    """
    for direction, port in (("from-lport", "inport"), ("to-lport", "outport")):
        words = match.format(port=port, group=group)
        yield UNDERLYING_ACLS(
            direction=direction,
            match=words,
            external_ids=(),
            priority=PRIORITY_LOGGED_DROP,
            action="drop",
            **log_columns(log, words),
        )
        yield ACLS_OF_GROUP(group, UNDERLYING_ACLS.uuid((direction, words, ())))


@rule(cloud.SecurityGroupRule)
def rule_acl(security_rule: cloud.SecurityGroupRule) -> Iterator[Fact]:
    """Yield the ACL of a security group rule, as a member of its port group."""
    group = names.port_group(cloud.SecurityGroupRule.security_group.raw(security_rule))
    ingress = security_rule.direction == "ingress"
    parent = security_rule.security_group
    stateful = is_stateful(parent)
    yield RULE_ACLS(
        external_ids=(("neutron:security_group_rule_id", security_rule.uuid),),
        direction="to-lport" if ingress else "from-lport",
        match=match(security_rule, group),
        priority=PRIORITY_ALLOW,
        action="allow-related" if stateful else "allow-stateless",
        **log_columns(accept_log(parent), security_rule.uuid, stateful=stateful),
    )
    yield ACLS_OF_GROUP(group, RULE_ACLS.uuid(security_rule.uuid))


def match(security_rule: cloud.SecurityGroupRule, group: str) -> str:
    """Return the match of a rule, with Neutron's words and order.

    Arguments:
        security_rule: the rule.
        group: name of the port group that it is for.
    """
    ingress = security_rule.direction == "ingress"
    ip = "ip4" if security_rule.ethertype == "IPv4" else "ip6"
    remote = f"{ip}.{'src' if ingress else 'dst'}"
    terms = [f"{'outport' if ingress else 'inport'} == @{group}", ip]
    if security_rule.remote_ip_prefix is not None:
        terms.append(f"{remote} == {ip_network(security_rule.remote_ip_prefix, strict=False)}")
    other = cloud.SecurityGroupRule.remote_group.raw(security_rule)
    if other is not None:
        terms.append(f"{remote} == ${names.port_group(other)}_{ip}")
    addresses = cloud.SecurityGroupRule.remote_address_group.raw(security_rule)
    if addresses is not None:
        terms.append(f"{remote} == ${names.address_group(addresses)}_{ip}")
    if security_rule.protocol is not None:
        terms += _protocol(security_rule, number(security_rule.protocol), "icmp4" if ip == "ip4" else "icmp6")
    return " && ".join(terms)


def _protocol(security_rule: cloud.SecurityGroupRule, protocol: int, icmp: str) -> list[str]:
    low, high = security_rule.port_range_min, security_rule.port_range_max
    if protocol in ICMP:
        return [icmp] + [f"{icmp}.{f} == {v}" for f, v in (("type", low), ("code", high)) if v is not None]
    name = TRANSPORT.get(protocol)
    if name is None:
        return [f"ip.proto == {protocol}"]
    if low is not None and low == high:
        return [name, f"{name}.dst == {low}"]
    return [name] + [f"{name}.dst {op} {v}" for op, v in ((">=", low), ("<=", high)) if v is not None]
