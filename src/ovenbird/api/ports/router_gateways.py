"""A router's gateways: its ports on external networks, of which the first is its `external_gateway_info`.

Every change is a new list of gateways: some that are there, maybe with other addresses, and new ones. Those that are
not in it are closed, unless floating IPs need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.api.access.sharing import EXTERNAL, grants
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.errors.router import (
    BadRouterRequest,
    RouterExternalGatewayInUseByFloatingIp,
    UnableToMatchGateways,
    UnableToRemoveGateways,
)
from ovenbird.api.ports.service_ports import GATEWAY_OWNER, ServicePorts
from ovenbird.api.qos import check_taken_away, find_policy, has_policy
from ovenbird.api.values import address, boolean, list_of, mapping, optional, record
from ovenbird.api.values import uuid as uuid_value
from ovenbird.model.cloud import (
    FixedAddress,
    FloatingIPAssociation,
    Network,
    Port,
    PortForwarding,
    RouterGateway,
    RouterInterface,
    Subnet,
    gateways_of,
)
from ovenbird.net.ip import ip_network

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID
    from ovenbird.model.cloud import Router

MOST_GATEWAYS = 16
"""Maximum gateways of one router: each is a port with its chassis, routes and address translation."""

GATEWAY = record(
    (),
    network_id=uuid_value,
    enable_snat=boolean,
    external_fixed_ips=list_of(record((), subnet_id=uuid_value, ip_address=address), null=False),
    qos_policy_id=optional(uuid_value),
)


def gateway_info(value: Any) -> dict[str, Any]:
    """Convert a gateway; null and the empty object mean no gateway.

    Raises:
        ValueError: the value is none.
    """
    given: dict[str, Any] = GATEWAY(mapping(value))
    if given and "network_id" not in given:
        raise ValueError("network_id is required")
    return given


def gateway_infos(value: Any) -> list[dict[str, Any]]:
    """Convert a list of gateways.

    Raises:
        ValueError: the value is none.
    """
    given = list_of(gateway_info, most=MOST_GATEWAYS)([] if value == {} else value)  # {} is openstackclient's for none
    if not all(given):
        raise ValueError("network_id is required")
    return given


def render_gateway(outside: RouterGateway) -> dict[str, Any]:
    """Return what the API shows of one of several gateways."""
    port = outside.port
    fixed = sorted((f.address, FixedAddress.subnet.raw(f)) for f in port.referrers(FixedAddress.port))
    return {
        "network_id": Port.network.raw(port),
        "external_fixed_ips": [{"subnet_id": subnet, "ip_address": ip} for ip, subnet in fixed],
    }


def more_of_first(outside: RouterGateway) -> dict[str, Any]:
    """Return what the API shows of a router's first gateway besides."""
    more: dict[str, Any] = {"enable_snat": outside.enable_snat}
    policy = RouterGateway.qos_policy.raw(outside)
    if policy is not None or Network.qos_policy.raw(outside.port.network) is not None:  # as Neutron shows it
        more["qos_policy_id"] = policy
    return more


class WantedGateway(NamedTuple):
    """A gateway of a router's new list.

    Arguments:
        present: the gateway; None for a new one.
        info: what the request says about it.
    """

    present: RouterGateway | None
    info: Mapping[str, Any]


class RouterGateways:
    """Changes the gateways of routers.

    Arguments:
        databases: contain them.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.ports = ServicePorts(databases)

    def open(self, draft: Draft, router: UUID, project: str, given: Mapping[str, Any]) -> None:
        """Write the gateway of a new router.

        Arguments:
            draft: the transaction.
            router: the router's id.
            project: the router's project.
            given: the gateway, as the request has it.

        Raises:
            NeutronError: it cannot be opened.
        """
        values = {"place": 0, "enable_snat": given.get("enable_snat", True)}
        self._open(draft, router, project, given, {}, values)

    def replace(self, draft: Draft, row: Router, given: Mapping[str, Any]) -> set[UUID]:
        """Write a change of the first gateway, and return the external subnets that the router then has.

        Arguments:
            draft: the transaction.
            row: the router.
            given: the new gateway, as the request has it; empty for none.

        Raises:
            NeutronError: it cannot be changed.
        """
        present = gateways_of(row)
        others = [WantedGateway(outside, {}) for outside in present[1:]]
        if not given:
            return self._write(draft, row, others, enable_snat=True)
        same = present and Port.network.raw(present[0].port) == given["network_id"]
        if present and not same:  # the policy stays for as long as there is a gateway
            given = {"qos_policy_id": RouterGateway.qos_policy.raw(present[0])} | dict(given)
        first = WantedGateway(present[0] if same else None, given)
        return self._write(draft, row, [first, *others], enable_snat=given.get("enable_snat", True))

    def add(self, draft: Draft, row: Router, given: Sequence[Mapping[str, Any]]) -> set[UUID]:
        """Write further gateways, and return the external subnets that the router then has.

        Arguments:
            draft: the transaction.
            row: the router.
            given: the further ones, as the request has them.

        Raises:
            NeutronError: one cannot be opened.
        """
        present = [WantedGateway(outside, {}) for outside in gateways_of(row)]
        enable_snat = given[0].get("enable_snat", True) if given and not present else None
        wanted = [*present, *(WantedGateway(None, info) for info in given)]
        return self._write(draft, row, wanted, enable_snat=enable_snat)

    def update(self, draft: Draft, row: Router, given: Sequence[Mapping[str, Any]]) -> set[UUID]:
        """Write a new list of gateways, and return the external subnets that the router then has.

        Arguments:
            draft: the transaction.
            row: the router.
            given: all of them, as the request has them, the first one first.

        Raises:
            NeutronError: one cannot be opened, changed or closed.
        """
        left = gateways_of(row)
        wanted = []
        for info in given:
            found = _match(row, left, info)
            if found is not None:
                left.remove(found)
            wanted.append(WantedGateway(found, info))
        enable_snat = given[0].get("enable_snat", True) if given else None
        return self._write(draft, row, wanted, enable_snat=enable_snat)

    def remove(self, draft: Draft, row: Router, given: Sequence[Mapping[str, Any]]) -> set[UUID]:
        """Write the removal of some gateways, and return the external subnets that the router then has.

        Arguments:
            draft: the transaction.
            row: the router.
            given: those to close, as the request has them.

        Raises:
            NeutronError: one is not there, or cannot be closed.
        """
        left = gateways_of(row)
        if given and not left:
            raise UnableToRemoveGateways(router_id=row.uuid, reason="the router does not have any external gateways")
        for info in given:
            found = _match(row, left, info)
            if found is None:
                raise UnableToMatchGateways(
                    router_id=row.uuid, reason=f"none is on network {info['network_id']} as given"
                )
            left.remove(found)
        return self._write(draft, row, [WantedGateway(outside, {}) for outside in left], enable_snat=None)

    def _write(
        self, draft: Draft, row: Router, wanted: Sequence[WantedGateway], *, enable_snat: bool | None
    ) -> set[UUID]:
        """Write a router's list of gateways, and return the external subnets that the router then has.

        Arguments:
            draft: the transaction.
            row: the router.
            wanted: its gateways.
            enable_snat: whether source addresses are translated; None if that does not change.
        """
        if len(wanted) > MOST_GATEWAYS:
            raise BadRouterRequest(reason=f"A router cannot have more than {MOST_GATEWAYS} gateways.")
        present = gateways_of(row)
        kept = {one.present.uuid for one in wanted if one.present is not None}
        for outside in present:
            if outside.uuid not in kept:
                self._close(draft, row, outside)
        if enable_snat is None:
            enable_snat = present[0].enable_snat if present else True
        cidrs = {fixed.subnet.cidr: "" for interface in row.referrers(RouterInterface.router)
                 for fixed in interface.port.referrers(FixedAddress.port)}  # fmt: skip
        cidrs |= {subnet.cidr: one.present.port.network.uuid for one in wanted if one.present is not None
                  for subnet in one.present.port.network.referrers(Subnet.network)}  # fmt: skip
        if not wanted and row.has_own_schedule:
            draft.update(row, {"has_own_schedule": False, "gateway_chassis": {}})
        subnets: set[UUID] = set()
        for place, one in enumerate(wanted):
            values: dict[str, Any] = {"place": place, "enable_snat": enable_snat}
            if one.present is None:
                subnets |= self._open(draft, row.uuid, row.project_id, one.info, cidrs, values)
                continue
            port = one.present.port
            if "qos_policy_id" in one.info:
                check_taken_away(draft, one.present.qos_policy)
                values |= self._policy(draft, port.network, row.project_id, one.info)
            draft.transaction.update(one.present, values)
            if fixed := one.info.get("external_fixed_ips"):
                _check_outside(port.network, fixed)
                subnets |= self.ports.addresses.replace(draft, port, fixed, port.mac_address)
                draft.touch(port)
            else:
                subnets |= {FixedAddress.subnet.raw(f) for f in port.referrers(FixedAddress.port)}
        return subnets

    def _open(
        self,
        draft: Draft,
        router: UUID,
        project: str,
        given: Mapping[str, Any],
        cidrs: dict[str, str],
        values: Mapping[str, Any],
    ) -> set[UUID]:
        """Write a gateway: a port on the external network without a project; return its subnets.

        Arguments:
            draft: the transaction.
            router: the router.
            project: the router's project.
            given: the gateway, as the request has it.
            cidrs: of the router's subnets, each with its external network, empty for an internal one; those of this
                gateway are added.
            values: the other columns.
        """
        network = self.databases.store.table(Network).get(given["network_id"])
        if network is None:
            raise NetworkNotFound(id=given["network_id"])
        if not network.external:
            raise BadRouterRequest(reason=f"Network {network.uuid} is not an external network.")
        wanted = given.get("external_fixed_ips")
        _check_outside(network, wanted or ())
        port, chosen = self.ports.create(draft, network, owner=GATEWAY_OWNER, device=router, wanted=wanted or None)
        for cidr in [cidr for cidr, other in cidrs.items() if other != network.uuid]:
            block = ip_network(cidr)
            for subnet, _ in chosen:
                theirs = ip_network(subnet.cidr)
                if theirs.version == block.version and theirs.overlaps(block):
                    raise BadRouterRequest(
                        reason=f"Cidr {subnet.cidr} of subnet {subnet.uuid} overlaps with cidr "
                        f"{cidr} of a subnet of the router."
                    )
        cidrs |= {subnet.cidr: network.uuid for subnet, _ in chosen}
        policy = self._policy(draft, network, project, given)
        draft.transaction.insert(RouterGateway, {"router": router, "port": port, **policy, **values})
        return {subnet.uuid for subnet, _ in chosen}

    def _policy(self, draft: Draft, network: Network, project: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a gateway with its QoS policy.

        Arguments:
            draft: the transaction.
            network: the external network.
            project: the router's project.
            given: the gateway, as the request has it.
        """
        columns = has_policy(draft, find_policy(self.databases, given.get("qos_policy_id")), project=project)
        return columns | {"allowed_by": columns["allowed_by"] | grants(draft, project, [network], EXTERNAL)}

    def _close(self, draft: Draft, row: Router, outside: RouterGateway) -> None:
        """Write the removal of a gateway; floating IPs in use prevent it."""
        if bool(outside.referrers(FloatingIPAssociation.gateway)) or bool(outside.referrers(PortForwarding.gateway)):
            raise RouterExternalGatewayInUseByFloatingIp(router_id=row.uuid, net_id=Port.network.raw(outside.port))
        draft.transaction.delete(outside)
        self.ports.delete(draft, outside.port)


def _match(row: Router, among: Iterable[RouterGateway], info: Mapping[str, Any]) -> RouterGateway | None:
    """Return the gateway that a request means: by an address, or the only one on its network; None if there is none.

    Raises:
        UnableToMatchGateways: there are several.
    """
    there = [outside for outside in among if Port.network.raw(outside.port) == info["network_id"]]
    wanted = {one["ip_address"] for one in info.get("external_fixed_ips", ()) if "ip_address" in one}
    if wanted:
        held = {outside: {f.address for f in outside.port.referrers(FixedAddress.port)} for outside in there}
        return next((outside for outside in there if held[outside] & wanted), None)
    if len(there) > 1:
        reason = (
            f"multiple gateway ports are attached to the same network {info['network_id']} but external_fixed_ips "
            "parameter is not specified in the request"
        )
        raise UnableToMatchGateways(router_id=row.uuid, reason=reason)
    return next(iter(there), None)


def _check_outside(network: Network, wanted: Iterable[Mapping[str, str]]) -> None:
    """Check that the external address of a router is not that of the subnet's gateway."""
    gateways = {subnet.gateway_ip for subnet in network.referrers(Subnet.network)}
    for item in wanted:
        if item.get("ip_address") in gateways:
            raise BadRouterRequest(reason=f"External IP {item['ip_address']} is the same as the gateway IP.")
