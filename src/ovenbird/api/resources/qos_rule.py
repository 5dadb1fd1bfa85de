"""The rules of QoS policies, of five types: each type is a nested resource of policies, and has an address of its own.

The second address (`qos-rules-alias`) is for clients that know the id of a rule but not its policy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from ovenbird.api.access.rules import ADMIN
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.qos import (
    QosPolicyNotFound,
    QosRuleNotFound,
    QoSRuleParameterConflict,
    QoSRulesConflict,
    TrackedInPlacementError,
)
from ovenbird.api.qos import RULE_KINDS, check_rule_for_port, is_bound, ports_under, rules_of
from ovenbird.api.resource import Parent, Resource
from ovenbird.api.values import integer, one_of
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import Row
from ovenbird.model.cloud import (
    LARGEST_RATE,
    BandwidthLimitRule,
    DscpMarkingRule,
    MinimumBandwidthRule,
    MinimumPacketRateRule,
    PacketRateLimitRule,
    QosPolicy,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import UUID

    Rules = Iterable[tuple[str, Mapping[str, Any]]]

R = TypeVar("R", bound=Row)

DIRECTIONS = ("egress", "ingress")
ANY = "any"
"""The direction of a guaranteed packet rate that both directions share."""

DSCP_MARKS = (0, *range(8, 41, 2), 44, 46, 48, 56)
"""The values of Neutron's API: class selectors, assured and expedited forwarding (RFC 2474, 2597, 3246)."""

GUARANTEES = ("minimum_bandwidth", "minimum_packet_rate")
"""The types of rules that Placement allocates resources for."""

COMPUTE = "compute:"
"""Prefix of the device owners of instances' ports."""

BOUNDS = {"minimum_bandwidth": ("min_kbps", "max_kbps"), "bandwidth_limit": ("max_kbps", "min_kbps")}
"""What a rule of a type has, and what it bounds in a rule of the other type."""

DIRECTION = Attribute(one_of(*DIRECTIONS), default=DIRECTIONS[0], column="direction")


def _rate(column: str) -> Attribute:
    return Attribute(integer(0, LARGEST_RATE), default=REQUIRED, column=column)


def _burst(column: str) -> Attribute:
    return Attribute(integer(0, LARGEST_RATE), default=0, column=column)


ALIAS_EXTENSIONS = {
    "bandwidth_limit": {"qos-rules-alias": "Quality of Service rules alias API"},
    "minimum_packet_rate": {"qos-pps-minimum-rule-alias": "QoS minimum packet rate rule alias"},
}
"""The extensions for the second addresses of rules, by the first type of rules that each is about."""


def _dscp_mark(value: Any) -> int:
    """Convert a DSCP; a text may have the number."""
    return int(one_of(*DSCP_MARKS)(integer()(value)))


class QosRules(Resource[R]):
    """``/v2.0/qos/policies/ID/…_rules``."""

    kind: ClassVar[str]
    """The type of the rules, from which their names follow."""
    member = collection = ""
    within = "policies"
    taggable = False
    not_found = QosRuleNotFound
    parent = Parent(attribute="policy_id", column="policy", called="policy", rows=QosPolicy)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.row_class = RULE_KINDS[cls.kind].owner
        if not cls.alias:
            cls.member, cls.collection = f"{cls.kind}_rule", f"{cls.kind}_rules"
            cls.policy_name, cls.path = f"policy_{cls.member}", cls.collection
        cls.rules = _rules(cls.policy_name, alias=cls.alias)
        super().__init_subclass__(**kwargs)

    def render(self, row: R) -> dict[str, Any]:
        """Return what the API shows of a rule."""
        return {"id": row.uuid} | {name: row[name] for name in self.attributes if name != "id"}

    def check_revision(self, row: R, wanted: int | None) -> None:
        """Check the revision of the policy: a rule has none of its own."""
        super().check_revision(row.policy, wanted)  # type: ignore[attr-defined]  # every table of rules has it

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new rule."""
        policy = self.databases.store.table(QosPolicy).get(values.pop("policy_id"))
        if policy is None:
            raise QosPolicyNotFound(id="")
        rules = draft.made.setdefault(("rules of a policy", policy.uuid), [])  # those of this draft
        _check_rates(policy, values, rules)
        _check_unlike(policy, self.kind, values, rules, None)
        self._check_ports(policy)
        rules.append((self.kind, values))
        draft.touch(policy)
        return draft.transaction.insert(self.row_class, values | {"policy": policy.uuid})

    def update(self, draft: Draft, row: R, values: dict[str, Any]) -> None:
        """Write a change of a rule."""
        policy: QosPolicy = row.policy  # type: ignore[attr-defined]  # likewise
        _check_rates(policy, values, ())
        _check_unlike(policy, self.kind, self.render(row) | values, (), row.uuid)
        self._check_ports(policy)
        draft.touch(policy)
        draft.transaction.update(row, values)

    def delete(self, draft: Draft, row: R) -> None:
        """Write the removal of a rule."""
        policy: QosPolicy = row.policy  # type: ignore[attr-defined]  # likewise
        self._check_allocated(policy)
        draft.touch(policy)
        draft.transaction.delete(row)

    def _check_ports(self, policy: QosPolicy) -> None:
        """Check that every port under a policy can have a new or changed rule."""
        for port in ports_under(policy):
            check_rule_for_port(self.kind, port=port.uuid, vnic=port.vnic_type, bound=is_bound(self.databases, port))
        self._check_allocated(policy)

    def _check_allocated(self, policy: QosPolicy) -> None:
        """Check that no instance has a guarantee of the policy, which only Placement could change."""
        if self.kind in GUARANTEES and any(port.device_owner.startswith(COMPUTE) for port in ports_under(policy)):
            raise TrackedInPlacementError


def _check_rates(policy: QosPolicy, values: Mapping[str, Any], more: Rules) -> None:
    """Check that no guaranteed bandwidth of a policy is larger than its limit in the same direction.

    Arguments:
        policy: the policy.
        values: of the new rule, or the changed values of one.
        more: further rules of the policy, which are not stored yet.

    Raises:
        QoSRuleParameterConflict: one is.
    """
    for kind, rule in (*rules_of(policy), *more):
        if kind not in BOUNDS or values.get("direction") not in (None, rule["direction"]):
            continue
        own, bounded = BOUNDS[kind]
        there, new = rule[own], values.get(bounded)
        if new is not None and ((there > new) if own == "min_kbps" else (there < new)):
            raise QoSRuleParameterConflict(
                rule_value=new, policy_id=policy.uuid, existing_rule=kind, existing_value=there
            )


def _check_unlike(policy: QosPolicy, kind: str, values: Mapping[str, Any], more: Rules, but: UUID | None) -> None:
    """Check that a policy has no other rule of a type and direction; the index guarantees it.

    Arguments:
        policy: the policy.
        kind: the type.
        values: of the rule.
        more: further rules of the policy, which are not stored yet.
        but: the rule that is being changed.

    Raises:
        QoSRuleParameterConflict: a packet rate would be guaranteed for both directions, and for one of them.
        QoSRulesConflict: there is one.
    """
    direction = values.get("direction")
    for other, rule in (*rules_of(policy), *more):
        uuid = rule.uuid if isinstance(rule, Row) else ""
        if other != kind or uuid == but:
            continue
        its = None if direction is None else rule["direction"]
        if direction != its and ANY in (direction, its):
            raise QoSRuleParameterConflict(
                rule_value=direction, policy_id=policy.uuid, existing_rule=kind, existing_value=its
            )
        if direction == its:
            raise QoSRulesConflict(new_rule_type=kind, rule_id=uuid, policy_id=policy.uuid)


def _rules(name: str, *, alias: bool) -> dict[str, str]:
    """Return the policy rules about rules of a type.

    Arguments:
        name: what they are called in policy rules.
        alias: whether it is about their second address, at which none are made.
    """
    reader, manager = (f"{ADMIN} or (role:{role} and rule:ext_parent_owner)" for role in ("reader", "manager"))
    verbs = ("update", "delete") if alias else ("create", "update", "delete")
    return {f"get_{name}": reader} | {f"{verb}_{name}": manager for verb in verbs}


def by_alias(nested: type[QosRules[Any]]) -> type[QosRules[Any]]:
    """Return the resource for the second address of rules: `/v2.0/qos/alias_bandwidth_limit_rules/ID`."""
    member = f"alias_{nested.member}"
    names = {
        "__module__": __name__,
        "__doc__": f"``/v2.0/qos/{member}s``.",
        "alias": True,
        "within": "",
        "member": member,
        "collection": f"{member}s",
        "path": f"qos/{member}s",
        "policy_name": member,
        "extensions": ALIAS_EXTENSIONS.get(nested.kind, {}),
    }
    return type(f"Alias{nested.__name__}", (nested,), names)


class BandwidthLimitRules(QosRules[BandwidthLimitRule]):
    """``/v2.0/qos/policies/ID/bandwidth_limit_rules``."""

    kind = "bandwidth_limit"
    extensions: ClassVar[Mapping[str, str]] = {"qos-bw-limit-direction": "Direction for QoS bandwidth limit rule"}
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "max_kbps": _rate("max_kbps"),
        "max_burst_kbps": _burst("max_burst_kbps"),
        "direction": DIRECTION,
    }


class DscpMarkingRules(QosRules[DscpMarkingRule]):
    """``/v2.0/qos/policies/ID/dscp_marking_rules``."""

    kind = "dscp_marking"
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "dscp_mark": Attribute(_dscp_mark, default=REQUIRED, column="dscp_mark"),
    }


class MinimumBandwidthRules(QosRules[MinimumBandwidthRule]):
    """``/v2.0/qos/policies/ID/minimum_bandwidth_rules``."""

    kind = "minimum_bandwidth"
    extensions: ClassVar[Mapping[str, str]] = {
        "qos-bw-minimum-ingress": "Ingress direction for QoS minimum bandwidth rule"
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "min_kbps": _rate("min_kbps"),
        "direction": DIRECTION,
    }


class MinimumPacketRateRules(QosRules[MinimumPacketRateRule]):
    """``/v2.0/qos/policies/ID/minimum_packet_rate_rules``."""

    kind = "minimum_packet_rate"
    extensions: ClassVar[Mapping[str, str]] = {"qos-pps-minimum": "QoS minimum packet rate rule"}
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "min_kpps": _rate("min_kpps"),
        "direction": Attribute(one_of(*DIRECTIONS, ANY), default=DIRECTIONS[0], column="direction"),
    }


class PacketRateLimitRules(QosRules[PacketRateLimitRule]):
    """``/v2.0/qos/policies/ID/packet_rate_limit_rules``."""

    kind = "packet_rate_limit"
    extensions: ClassVar[Mapping[str, str]] = {"qos-pps": "QoS Rule Type Packet per Second Extension"}
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "max_kpps": _rate("max_kpps"),
        "max_burst_kpps": _burst("max_burst_kpps"),
        "direction": DIRECTION,
    }


NESTED: tuple[type[QosRules[Any]], ...] = (
    BandwidthLimitRules,
    DscpMarkingRules,
    MinimumBandwidthRules,
    MinimumPacketRateRules,
    PacketRateLimitRules,
)
"""The rules of each type, within their policies."""

BY_ALIAS = tuple(by_alias(rules) for rules in NESTED if rules is not PacketRateLimitRules)
"""The rules that have a second address."""
