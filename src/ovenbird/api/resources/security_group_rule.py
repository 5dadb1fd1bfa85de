"""Security group rules: immutable, and unique within their group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.access.sharing import grants
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.other import AddressGroupNotFound
from ovenbird.api.errors.security_group import (
    DuplicateSecurityGroupRuleInPost,
    InvalidCIDR,
    SecurityGroupEthertypeConflictWithProtocol,
    SecurityGroupInvalidIcmpValue,
    SecurityGroupInvalidPortRange,
    SecurityGroupInvalidPortValue,
    SecurityGroupInvalidProtocolForPort,
    SecurityGroupMissingIcmpType,
    SecurityGroupMultipleRemoteEntites,
    SecurityGroupNotFound,
    SecurityGroupProtocolRequiredWithPorts,
    SecurityGroupRuleExists,
    SecurityGroupRuleInvalidEtherType,
    SecurityGroupRuleInvalidProtocol,
    SecurityGroupRuleNotFound,
    SecurityGroupRuleParameterConflict,
)
from ovenbird.api.resource import STANDARD, Parent, Resource, standard
from ovenbird.api.values import boolean, integer, one_of, optional, text
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import AddressGroup, DefaultSecurityGroup, SecurityGroup, SecurityGroupRule
from ovenbird.model.protocols import ALIASES, ICMP, PROTOCOLS, WITH_PORTS, number, spellings
from ovenbird.net.ip import ip_interface, ip_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import ColumnOf

ONLY_IPV6 = frozenset(
    spelling
    for name in ("ipv6-icmp", "ipv6-encap", "ipv6-frag", "ipv6-nonxt", "ipv6-opts", "ipv6-route")
    for spelling in spellings(name)
)
IPV6_PROTOCOLS = {"icmp": "ipv6-icmp", "icmpv6": "ipv6-icmp", "1": "58"}
"""Protocols that mean another one in IPv6 rules: ICMP means ICMPv6."""


def _protocol(value: Any) -> str | None:
    """Convert a protocol to lower case; ``any`` means none."""
    if value is None or value == "any":
        return None
    word = str(value).lower()
    try:
        number(word)
    except ValueError:
        known = [*PROTOCOLS, *ALIASES]
        raise SecurityGroupRuleInvalidProtocol(protocol=value, values=known) from None
    return word


def _ethertype(value: Any) -> str:
    """Convert an IP version in any case."""
    for known in ("IPv4", "IPv6"):
        if str(value).lower() == known.lower():
            return known
    raise SecurityGroupRuleInvalidEtherType(ethertype=value)


def _sought_ethertype(value: str) -> str:
    """Convert the IP version of a filter; as in Neutron, an unknown one matches nothing."""
    return next((known for known in ("IPv4", "IPv6") if known.lower() == value.lower()), value)


def _port(value: Any) -> int | None:
    """Convert a port, an ICMP type or a code."""
    if value is None:
        return None
    try:
        port = integer()(value)
    except ValueError:
        raise SecurityGroupInvalidPortValue(port=value) from None
    if not 0 <= port <= 65_535:
        raise SecurityGroupInvalidPortValue(port=value)
    return port


def _remote_prefix(value: Any) -> str | None:
    """Convert an address or a prefix, which may have host bits; the empty string means none."""
    if value is None or value == "":
        return None
    try:
        return ip_interface(_text(value)).with_prefixlen
    except ValueError:
        raise InvalidCIDR(input=value) from None


def _named(value: Any) -> str:
    """Convert the id of another resource; as in Neutron, an invalid id is reported as not found."""
    return str(value).lower()


_text = text()


def _group(value: Any) -> str:
    """Convert the id of the rule's group, which must be a string."""
    return _named(_text(value))


RULE: dict[str, Attribute] = {
    "direction": Attribute(one_of("ingress", "egress"), default=REQUIRED, put=False),
    "ethertype": Attribute(_ethertype, default="IPv4", put=False, sought=_sought_ethertype),
    "protocol": Attribute(_protocol, default=None, put=False),
    "port_range_min": Attribute(_port, default=None, put=False),
    "port_range_max": Attribute(_port, default=None, put=False),
    "remote_ip_prefix": Attribute(_remote_prefix, default=None, put=False),
    "remote_group_id": Attribute(optional(_named), default=None, put=False),
    "remote_address_group_id": Attribute(optional(_named), default=None, put=False),
}
"""What a rule allows; templates of rules have the same attributes."""


class SecurityGroupRules(Resource[SecurityGroupRule]):
    """``/v2.0/security-group-rules``."""

    member = "security_group_rule"
    collection = "security_group_rules"
    row_class = SecurityGroupRule
    not_found = SecurityGroupRuleNotFound
    parent = Parent(attribute="security_group_id", column="security_group", called="security_group", rows=SecurityGroup)
    references: ClassVar[Mapping[str, str]] = {
        "security_group_id": "security_groups",
        "remote_group_id": "security_groups",
        "remote_address_group_id": "address_groups",
    }
    extensions: ClassVar[Mapping[str, str]] = {
        "security-groups-normalized-cidr": "Normalized CIDR field for security group rules",
        "security-groups-remote-address-group": "Remote address group id field for security group rules",
        "security-groups-rules-belongs-to-default-sg": (
            "Security group rule belongs to the project's default security group"
        ),
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(
            f"{ADMIN} or (role:member and rule:sg_owner)",
            "create_security_group_rule",
            "update_security_group_rule",  # Neutron has no policy for this, since its rules cannot be changed
            "delete_security_group_rule",
        ),
        "get_security_group_rule": f"{ADMIN} or (role:reader and rule:sg_owner)",
    }
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "security_group_id": Attribute(_group, default=REQUIRED, put=False),
        **RULE,
        "normalized_cidr": shown(_remote_prefix),
        "belongs_to_default_sg": shown(boolean),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"security_group_id": SecurityGroupRule.security_group}
    taggable = False

    def render(self, row: SecurityGroupRule) -> dict[str, Any]:
        """Return what the API shows of a rule."""
        return render_rule(row)

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new rule, and increment the group's revision."""
        group = self._group(values["security_group_id"])
        named: list[AddressGroup] = []
        if values["remote_group_id"] is not None:
            self._group(values["remote_group_id"])
        if values["remote_address_group_id"] is not None:
            addresses = self.databases.store.table(AddressGroup).get(UUID(values["remote_address_group_id"]))
            if addresses is None:
                raise AddressGroupNotFound(id=values["remote_address_group_id"])
            named.append(addresses)
        check(values)
        stored = {
            "security_group": group.uuid,
            "direction": values["direction"],
            "ethertype": values["ethertype"],
            "protocol": values["protocol"],
            "port_range_min": values["port_range_min"],
            "port_range_max": values["port_range_max"],
            "remote_ip_prefix": values["remote_ip_prefix"],
            "remote_group": values["remote_group_id"],
            "remote_address_group": values["remote_address_group_id"],
        }
        for same in equal_forms(stored):
            key = tuple((SecurityGroupRule.BY_NAME[name], value) for name, value in same.items())
            if self.databases.is_taken(draft, *key):
                raise self._exists(same)
        self.databases.take(draft, *((SecurityGroupRule.BY_NAME[name], value) for name, value in stored.items()))
        draft.touch(group)
        project = values.get("project_id", group.project_id)
        stored |= {"project_id": project, "allowed_by": grants(draft, project, named)}
        return draft.insert(SecurityGroupRule, {**stored, "description": values["description"]})

    def update(self, draft: Draft, row: SecurityGroupRule, values: dict[str, Any]) -> None:
        """Write a change of a rule's description, the only attribute that can change."""
        draft.update(row, values)

    def delete(self, draft: Draft, row: SecurityGroupRule) -> None:
        """Write the removal of a rule."""
        draft.touch(row.security_group)
        draft.transaction.delete(row)

    def _group(self, uuid: str) -> SecurityGroup:
        group = self.databases.store.table(SecurityGroup).get(UUID(uuid))
        if group is None:
            raise SecurityGroupNotFound(id=uuid)
        return group

    def _exists(self, stored: dict[str, Any]) -> SecurityGroupRuleExists | DuplicateSecurityGroupRuleInPost:
        """Return the error for a rule that equals a stored one, or another one in the same request."""
        columns = [SecurityGroupRule.BY_NAME[name] for name in stored]
        same = self.table.index(*columns).rows(tuple(stored.values()))
        return SecurityGroupRuleExists(id=same[0].uuid) if same else DuplicateSecurityGroupRuleInPost()


def equal_forms(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a rule in the form of the database, and every equivalent form."""
    anywhere = {"IPv4": "0.0.0.0/0", "IPv6": "::/0"}[stored["ethertype"]]
    prefix, protocol = stored["remote_ip_prefix"], stored["protocol"]
    prefixes = [None, anywhere] if prefix in (None, anywhere) else [prefix]
    protocols = [protocol] if protocol is None else spellings(protocol)
    return [stored | {"remote_ip_prefix": one, "protocol": other} for one in prefixes for other in protocols]


def render_rule(row: SecurityGroupRule) -> dict[str, Any]:
    """Return what the API shows of a rule, alone or within its group."""
    prefix = row.remote_ip_prefix
    return {
        **standard(row),
        "security_group_id": SecurityGroupRule.security_group.raw(row),
        "direction": row.direction,
        "ethertype": row.ethertype,
        "protocol": row.protocol,
        "port_range_min": row.port_range_min,
        "port_range_max": row.port_range_max,
        "remote_ip_prefix": prefix,
        "normalized_cidr": None if prefix is None else str(ip_network(prefix, strict=False)),
        "remote_group_id": SecurityGroupRule.remote_group.raw(row),
        "remote_address_group_id": SecurityGroupRule.remote_address_group.raw(row),
        "belongs_to_default_sg": bool(row.security_group.referrers(DefaultSecurityGroup.security_group)),
    }


def check(values: dict[str, Any]) -> None:
    """Check that the attributes of a rule are consistent, and convert them to the form that Neutron shows.

    Raises:
        NeutronError: they are not; the subclass is Neutron's error for this case.
    """
    prefix, ethertype = values["remote_ip_prefix"], values["ethertype"]
    if ethertype == "IPv6":
        values["protocol"] = IPV6_PROTOCOLS.get(values["protocol"], values["protocol"])
    if (values["port_range_min"], values["port_range_max"]) == (1, 65_535):
        values |= {"port_range_min": None, "port_range_max": None}
    _check_range(values["protocol"], values["port_range_min"], values["port_range_max"])
    if prefix is not None and ip_network(prefix, strict=False).version != int(ethertype[-1]):
        raise SecurityGroupRuleParameterConflict(ethertype=ethertype, cidr=prefix)
    if values["protocol"] in ONLY_IPV6 and ethertype == "IPv4":
        raise SecurityGroupEthertypeConflictWithProtocol(ethertype=ethertype, protocol=values["protocol"])
    remotes = prefix, values["remote_group_id"], values["remote_address_group_id"]
    if sum(remote is not None for remote in remotes) > 1:
        raise SecurityGroupMultipleRemoteEntites


def _check_range(protocol: str | None, low: int | None, high: int | None) -> None:
    """Check a range of ports, or an ICMP type and code."""
    if low is None and high is None:
        return
    if protocol is None:
        raise SecurityGroupProtocolRequiredWithPorts
    ip_protocol = number(protocol)
    if ip_protocol in ICMP:
        _check_icmp(low, high)
    elif ip_protocol not in WITH_PORTS:
        raise SecurityGroupInvalidProtocolForPort(protocol=protocol)
    elif 0 in (low, high):
        raise SecurityGroupInvalidPortValue(port=0)
    elif low is None or high is None or low > high:
        raise SecurityGroupInvalidPortRange


def _check_icmp(kind: int | None, code: int | None) -> None:
    for attribute, field, value in (("port_range_min", "type", kind), ("port_range_max", "code", code)):
        if value is not None and value > 255:
            raise SecurityGroupInvalidIcmpValue(field=field, attribute=attribute, value=value)
    if kind is None:
        raise SecurityGroupMissingIcmpType(value=code)
