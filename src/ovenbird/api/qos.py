"""QoS policies as other resources have them: which one, whether it fits, and what of it Placement has to know."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from ovenbird.api.access.sharing import grant, grants
from ovenbird.api.errors.qos import (
    PolicyRemoveAuthorizationError,
    QosPolicyNotFound,
    QosRuleNotSupported,
    QosRuleNotSupportedByNetwork,
)
from ovenbird.api.ports.port_bindings import BOUND, binding
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import (
    BandwidthLimitRule,
    DefaultQosPolicy,
    DscpMarkingRule,
    MinimumBandwidthRule,
    MinimumPacketRateRule,
    Network,
    NetworkSegment,
    PacketRateLimitRule,
    Port,
    QosPolicy,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import ReferenceOf

RULE_KINDS: dict[str, ReferenceOf[Any, QosPolicy, UUID]] = {
    "bandwidth_limit": BandwidthLimitRule.policy,
    "dscp_marking": DscpMarkingRule.policy,
    "minimum_bandwidth": MinimumBandwidthRule.policy,
    "minimum_packet_rate": MinimumPacketRateRule.policy,
    "packet_rate_limit": PacketRateLimitRule.policy,
}
"""The column by which rules of each type refer to their policy."""

SUPPORTED = ("bandwidth_limit", "dscp_marking", "minimum_bandwidth")
"""The types of rules that ports and networks can have: OVN counts no packets."""

ANY_VNIC = "normal"
"""The VNIC type whose ports can have a policy with rules before they are bound."""

RATES = {"ingress": "NET_BW_IGR_KILOBIT_PER_SEC", "egress": "NET_BW_EGR_KILOBIT_PER_SEC"}
"""Placement's class of the resource that a guaranteed bandwidth is, by direction."""

_NO_TRAIT = re.compile(r"[^A-Z0-9_]")


def rules_of(policy: QosPolicy) -> Iterator[tuple[str, Any]]:
    """Yield the type and the row of each rule of a policy, by type and direction."""
    for kind, column in RULE_KINDS.items():
        found: list[Any] = policy.referrers(column)
        yield from ((kind, row) for row in sorted(found, key=lambda row: getattr(row, "direction", "")))


def policy_of(port: Port) -> QosPolicy | None:
    """Return the policy of a port: its own, or its network's."""
    own: QosPolicy | None = port.qos_policy
    return own if own is not None else port.network.qos_policy


def find_policy(databases: Databases, uuid: str | None) -> QosPolicy | None:
    """Return the policy that a request names; None for none.

    Raises:
        QosPolicyNotFound: there is no such policy.
    """
    if uuid is None:
        return None
    found = databases.store.table(QosPolicy).get(UUID(uuid))
    if found is None:
        raise QosPolicyNotFound(id=uuid)
    return found


def default_policy(databases: Databases, project: str) -> QosPolicy | None:
    """Return the policy of a project's new networks; None if it has none."""
    return next((row.policy for row in databases.store.select(DefaultQosPolicy.project_id, project)), None)


def has_policy(draft: Draft, policy: QosPolicy | None, *, project: str) -> dict[str, Any]:
    """Return the columns of a network or floating IP that has a policy.

    Arguments:
        draft: the transaction.
        policy: the policy; None for none.
        project: the project of the network or floating IP.
    """
    if policy is None:
        return {"qos_policy": None, "allowed_by": frozenset()}
    return {"qos_policy": policy.uuid, "allowed_by": grants(draft, project, (policy,))}


def check_taken_away(draft: Draft, policy: QosPolicy | None) -> None:
    """Check that the caller may replace or take away a policy, which it has to see for that.

    Raises:
        PolicyRemoveAuthorizationError: it does not.
    """
    caller = draft.caller
    if policy is None or caller.admin or policy.project_id == caller.project:
        return
    if grant(policy, caller.project) is None:
        raise PolicyRemoveAuthorizationError(policy_id=policy.uuid)


def check_port(policy: QosPolicy | None, port: str, *, vnic: str, bound: bool = False) -> None:
    """Check that a port can have every rule of a policy, as Neutron's OVN driver does.

    Arguments:
        policy: the policy; None for none.
        port: the port's id, for the error.
        vnic: the port's VNIC type.
        bound: whether the port is bound to a host's virtual switch.

    Raises:
        QosRuleNotSupported: it cannot.
    """
    for kind, _ in rules_of(policy) if policy is not None else ():
        check_rule_for_port(kind, port=port, vnic=vnic, bound=bound)


def check_rule_for_port(kind: str, *, port: str, vnic: str, bound: bool) -> None:
    """Check that a port can have a rule of a type.

    Arguments:
        kind: the rule's type.
        port: the port's id, for the error.
        vnic: the port's VNIC type.
        bound: whether the port is bound to a host's virtual switch.

    Raises:
        QosRuleNotSupported: it cannot.
    """
    if kind not in SUPPORTED or not (bound or vnic == ANY_VNIC):
        raise QosRuleNotSupported(rule_type=kind, port_id=port)


def is_bound(databases: Databases, port: Port) -> bool:
    """Return whether a port is bound to a host's virtual switch."""
    return binding(databases, port)[0] == BOUND


def check_network(policy: QosPolicy | None, network: str) -> None:
    """Check that a network can have every rule of a policy.

    Arguments:
        policy: the policy; None for none.
        network: the network's id, for the error.

    Raises:
        QosRuleNotSupportedByNetwork: it cannot.
    """
    for kind, _ in rules_of(policy) if policy is not None else ():
        if kind not in SUPPORTED:
            raise QosRuleNotSupportedByNetwork(rule_type=kind, network_id=network)


def ports_without_own(network: Network) -> Iterator[Port]:
    """Yield the ports of a network that have the network's policy."""
    yield from (port for port in network.referrers(Port.network) if Port.qos_policy.raw(port) is None)


def ports_under(policy: QosPolicy) -> Iterator[Port]:
    """Yield the ports that have a policy, also as their network's."""
    yield from policy.referrers(Port.qos_policy)
    for network in policy.referrers(Network.qos_policy):
        yield from ports_without_own(network)


def resource_request(port: Port) -> dict[str, Any] | None:
    """Return what Nova has to ask Placement for on behalf of a port; None without guaranteed bandwidth.

    The format is that of `port-resource-request-groups`; the group's id is a UUID of version 5 (RFC 9562), as
    Neutron makes it, so that Nova finds its allocation again.
    """
    policy = policy_of(port)
    rules: list[MinimumBandwidthRule] = [] if policy is None else policy.referrers(MinimumBandwidthRule.policy)
    if not rules:
        return None
    segment: NetworkSegment | None = port.network.referrer(NetworkSegment.network)
    physical = segment.physical_network if segment is not None else None
    place = "CUSTOM_NETWORK_TUNNEL_PROVIDER" if physical is None else trait(f"PHYSNET_{physical}")
    group = str(uuid.uuid5(uuid.UUID(port.uuid), ":".join(sorted(rule.uuid for rule in rules))))
    asked = {
        "id": group,
        "required": [place, trait(f"VNIC_TYPE_{port.vnic_type}")],
        "resources": {RATES[rule.direction]: rule.min_kbps for rule in rules},
    }
    return {"request_groups": [asked], "same_subtree": [group]}


def trait(name: str) -> str:
    """Return the name of a trait of one's own in Placement."""
    return "CUSTOM_" + _NO_TRAIT.sub("_", name.upper())
