"""QoS policies: QoS rows of a switch, and the options of ports that ask for a queue (ovn-nb(5), QoS).

A port, a floating IP and a router's gateway have at most one row for each direction, with the rate and the DSCP of
their own policy, or else of their network's. Bandwidth is guaranteed by queues alone, which a port on a physical
network has for what it sends; its rate is then limited by the queue too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.cloud.floating_ip import floating_address
from ovenbird.cloud.network import ON_A_WIRE, SWITCHES
from ovenbird.cloud.router import segment_of
from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import cloud, nb, settings
from ovenbird.model.binding_profile import is_external

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation

QOS_PRIORITY, FLOATING_QOS_PRIORITY = 2002, 2003
"""A floating IP's row goes before that of the gateway that its packets pass."""

OWNERS = ("neutron:port_id", "neutron:fip_id", "neutron:router_id")
"""The external ids by which rows tell what they are about."""

BITS = 1000
"""Bits of a kilobit."""


class QosRow(NamedTuple):
    """The rate and the mark of packets; the columns are those of ovn-nb(5)."""

    relation: Relation
    external_ids: Pairs
    direction: str
    priority: int
    match: str
    action: tuple[tuple[str, int], ...]
    bandwidth: tuple[tuple[str, int], ...]


class Treatment(NamedTuple):
    """What a policy does to packets of one direction; None or 0 for nothing.

    Arguments:
        rate: the largest rate in kbit/s.
        burst: kbit.
        guaranteed: kbit/s.
        dscp: the mark.
    """

    rate: int = 0
    burst: int = 0
    guaranteed: int = 0
    dscp: int | None = None


def _own_qos(row: nb.QoS) -> tuple[Pairs, str] | None:
    ids = row.external_ids
    return (tuple(sorted(ids.items())), row.direction) if any(owner in ids for owner in OWNERS) else None


QOS = NamedRows(nb.QoS, QosRow, key=(nb.QoS.external_ids, nb.QoS.direction), key_of=_own_qos)
QOS_OF_SWITCH = Members(SWITCHES, nb.LogicalSwitch.qos_rules, among=lambda row: _own_qos(row) is not None)


@view
def treatments(policy: cloud.QosPolicy) -> tuple[Treatment, Treatment]:
    """Return what a policy does to packets that are sent, and to those that are received."""
    found: list[dict[str, int]] = [{}, {}]
    for limit in policy.referrers(cloud.BandwidthLimitRule.policy):
        found[limit.direction == "ingress"] |= {"rate": limit.max_kbps, "burst": limit.max_burst_kbps}
    for guarantee in policy.referrers(cloud.MinimumBandwidthRule.policy):
        found[guarantee.direction == "ingress"]["guaranteed"] = guarantee.min_kbps
    for marking in policy.referrers(cloud.DscpMarkingRule.policy):
        found[0]["dscp"] = marking.dscp_mark
    return Treatment(**found[0]), Treatment(**found[1])


def policy_of(port: cloud.Port) -> cloud.QosPolicy | None:
    """Return the policy of a port that a virtual switch connects; None for none."""
    own: cloud.QosPolicy | None = port.qos_policy or port.network.qos_policy
    if own is None or port.device_owner.startswith(names.NETWORK_DEVICES) or is_external(port):
        return None
    return own


def queue_options(port: cloud.Port, policy: cloud.QosPolicy, options: Pairs) -> Pairs:
    """Return the options of a port, with those that ask for a queue.

    Arguments:
        port: the port.
        policy: its policy.
        options: its other options.
    """
    sent = _sent(port, policy)
    if not sent.guaranteed:
        return options
    asked = {"qos_min_rate": sent.guaranteed, "qos_max_rate": sent.rate, "qos_burst": sent.burst if sent.rate else 0}
    return tuple(sorted({**dict(options), **{name: str(rate * BITS) for name, rate in asked.items() if rate}}.items()))


def _sent(port: cloud.Port, policy: cloud.QosPolicy) -> Treatment:
    """Return what a policy does to the packets that a port sends; only on physical networks is bandwidth guaranteed."""
    sent = treatments(policy)[0]
    if sent.guaranteed and segment_of(port.network)[0] not in ON_A_WIRE:
        return sent._replace(guaranteed=0)
    return sent


def port_qos(port: cloud.Port, policy: cloud.QosPolicy) -> Iterator[Fact]:
    """Yield the rows of a port with a policy.

    Arguments:
        port: the port.
        policy: its policy.
    """
    sent, received = _sent(port, policy), treatments(policy)[1]
    if sent.guaranteed:
        sent = sent._replace(rate=0)  # the queue limits it
    ids, switch = (("neutron:port_id", port.uuid),), names.switch(cloud.Port.network.raw(port))
    yield from _rows(ids, switch, port.uuid, (sent, received))


def _rows(
    ids: Pairs, switch: str, port: str, both: tuple[Treatment, Treatment], address: str = "", resident: str = ""
) -> Iterator[Fact]:
    """Yield the rows of packets that pass a port.

    Arguments:
        ids: external ids that say what the rows are about.
        switch: the port's switch.
        port: the port.
        both: what is done to packets from and to the port.
        address: the only address that they are about; empty for all.
        resident: for an address, the port on whose chassis it is translated.
    """
    for treatment, lport, direction, side in zip(
        both, ("inport", "outport"), ("from-lport", "to-lport"), ("src", "dst"), strict=True
    ):
        if not treatment.rate and treatment.dscp is None:
            continue
        match = f'{lport} == "{port}"'
        if address:
            match += f' && ip4.{side} == {address} && is_chassis_resident("{resident}")'
        burst = (("burst", treatment.burst),) if treatment.burst else ()
        yield QOS(
            ids,
            direction=direction,
            priority=FLOATING_QOS_PRIORITY if address else QOS_PRIORITY,
            match=match,
            action=() if treatment.dscp is None else (("dscp", treatment.dscp),),
            bandwidth=(*burst, ("rate", treatment.rate)) if treatment.rate else (),
        )
        yield QOS_OF_SWITCH(switch, QOS.uuid((ids, direction)))


@rule(cloud.FloatingIP)
def floating_ip_qos(floating: cloud.FloatingIP) -> Iterator[Fact]:
    """Yield the rows of a floating IP that a router translates, on the chassis where it does."""
    policy: cloud.QosPolicy | None = floating.qos_policy or floating.network.qos_policy
    if policy is None or (address := floating_address(floating)) is None:
        return
    association: cloud.FloatingIPAssociation | None = floating.referrer(cloud.FloatingIPAssociation.floating_ip)
    used = association or next(iter(floating.referrers(cloud.PortForwarding.floating_ip)), None)
    if used is None:
        return
    outside = cloud.RouterGateway.port.raw(used.gateway)
    resident = f"cr-{names.router_port(outside)}"
    distributed = settings.DISTRIBUTED_FLOATING_IP.of(floating.home.store)
    if association is not None and distributed and segment_of(floating.network)[1] is not None:
        resident = cloud.FixedAddress.port.raw(association.fixed)
    ids, switch = (("neutron:fip_id", floating.uuid),), names.switch(cloud.FloatingIP.network.raw(floating))
    yield from _rows(ids, switch, outside, treatments(policy), address, resident)


@rule(cloud.RouterGateway)
def gateway_qos(outside: cloud.RouterGateway) -> Iterator[Fact]:
    """Yield the rows of a router's gateway: the first one's are known by the router, those of others by the port."""
    port = outside.port
    policy: cloud.QosPolicy | None = outside.qos_policy or port.network.qos_policy
    if policy is None:
        return
    router = outside.router
    first = cloud.first_gateway(router) is outside
    ids = (("neutron:router_id", router.uuid) if first else ("neutron:port_id", port.uuid),)
    yield from _rows(ids, names.switch(cloud.Port.network.raw(port)), port.uuid, treatments(policy))


@rule(cloud.BandwidthLimitRule)
def ineffective_limit(limit: cloud.BandwidthLimitRule) -> Iterator[Fact]:
    """Yield a finding for a limit of 0, which Northbound cannot have."""
    if not limit.max_kbps:
        yield finding(limit, f"QoS rule {limit.uuid}: a limit of 0 kbit/s limits nothing")
