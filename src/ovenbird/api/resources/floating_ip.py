"""Floating IPs: addresses of external networks that are translated to fixed IPs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MANAGER, MEMBER, READER, each, tags
from ovenbird.api.attributes import REQUIRED, UNSET, Attribute, shown
from ovenbird.api.errors.network import NetworkNotFound
from ovenbird.api.errors.port import PortNotFound
from ovenbird.api.errors.router import (
    BadFloatingIPRequest,
    ExternalGatewayForFloatingIPNotFound,
    FipInUseByPortForwarding,
    FloatingIPNotFound,
    FloatingIPPortAlreadyAssociated,
    PortHasPortForwarding,
)
from ovenbird.api.ports.port_bindings import is_unhosted
from ovenbird.api.ports.service_ports import FLOATING_OWNER, ServicePorts
from ovenbird.api.qos import check_taken_away, find_policy, has_policy
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.resources.port import port_status
from ovenbird.api.values import address, optional, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import (
    FixedAddress,
    FloatingIP,
    FloatingIPAssociation,
    Network,
    Port,
    PortForwarding,
    RouterGateway,
    RouterInterface,
    gateways_of,
)
from ovenbird.ovsdb.notation import new_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.api.query import Wanted
    from ovenbird.engine.rows import ColumnOf

SIDES = ("external", "internal")
"""Of port forwardings."""


class FloatingIPs(Resource[FloatingIP]):
    """``/v2.0/floatingips``."""

    member = "floatingip"
    collection = "floatingips"
    row_class = FloatingIP
    not_found = FloatingIPNotFound
    references: ClassVar[Mapping[str, str]] = {
        "floating_network_id": "networks",
        "subnet_id": "subnets",
        "port_id": "ports",
        "qos_policy_id": "policies",
    }
    extensions: ClassVar[Mapping[str, str]] = {
        "fip-port-details": "Floating IP Port Details Extension",
        "qos-fip": "Floating IP QoS",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_floatingip", "update_floatingip", "delete_floatingip"),
        "get_floatingip": READER,
        "create_floatingip:floating_ip_address": MANAGER,
        **tags("floatingip", reader=READER, member=MEMBER),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "floating_network_id": Attribute(uuid_value, default=REQUIRED, put=False),
        "floating_ip_address": Attribute(optional(address), default=None, put=False),
        "subnet_id": Attribute(optional(uuid_value), default=None, put=False, filterable=False),
        "port_id": Attribute(optional(uuid_value), default=UNSET),
        "fixed_ip_address": Attribute(optional(address), default=UNSET),
        "dns_name": Attribute(text(63), default="", put=False, column="dns_name"),
        "dns_domain": Attribute(text(), default="", put=False, column="dns_domain"),
        "qos_policy_id": Attribute(optional(uuid_value), default=None),
        "router_id": shown(uuid_value),
        "status": shown(),
        "port_details": shown(filterable=False),
        "port_forwardings": shown(filterable=False),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"floating_network_id": FloatingIP.network}

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.ports = ServicePorts(databases)

    def render(self, row: FloatingIP) -> dict[str, Any]:
        """Return what the API shows of a floating IP."""
        held: FixedAddress | None = row.port.referrer(FixedAddress.port)
        association: FloatingIPAssociation | None = row.referrer(FloatingIPAssociation.floating_ip)
        fixed = association.fixed if association is not None else None
        forwardings: tuple[PortForwarding, ...] = tuple(row.referrers(PortForwarding.floating_ip))
        gateway = next((used.gateway for used in (association, *forwardings) if used is not None), None)
        return {
            **standard(row),
            "floating_network_id": FloatingIP.network.raw(row),
            "floating_ip_address": held.address if held is not None else None,
            "fixed_ip_address": fixed.address if fixed is not None else None,
            "port_id": FixedAddress.port.raw(fixed) if fixed is not None else None,
            "router_id": RouterGateway.router.raw(gateway) if gateway is not None else None,
            "status": self._status(gateway),
            "port_details": self._details(fixed.port) if fixed is not None else None,
            "dns_name": row.dns_name,
            "dns_domain": row.dns_domain,
            "qos_policy_id": FloatingIP.qos_policy.raw(row),
            "port_forwardings": [
                shown_forwarding(one) for one in sorted(forwardings, key=lambda one: one.external_port)
            ],
            "tags": sorted(row.tags),
        }

    def _status(self, gateway: RouterGateway | None) -> str:
        """Return ACTIVE where a router translates the address, ERROR where no chassis can host its gateway."""
        if gateway is None:
            return "DOWN"
        return "ERROR" if is_unhosted(self.databases, gateway.port) else "ACTIVE"

    def _details(self, port: Port) -> dict[str, Any]:
        return {
            "name": port.name,
            "network_id": Port.network.raw(port),
            "mac_address": port.mac_address,
            "admin_state_up": port.admin_state_up,
            "status": port_status(self.databases, port),
            "device_id": port.device_id,
            "device_owner": port.device_owner,
        }

    def candidates(self, filters: Mapping[str, Wanted]) -> Iterable[FloatingIP]:
        """Return rows that include all that the filters match."""
        store = self.databases.store
        if "floating_ip_address" in filters and "id" not in filters:
            held = [f for value in filters["floating_ip_address"] for f in store.select(FixedAddress.address, value)]
            return [row for fixed in held for row in fixed.port.referrers(FloatingIP.port)]
        if "port_id" in filters and "id" not in filters and not {"", "None", "null"} & set(filters["port_id"]):
            fixed = [f for value in filters["port_id"] for f in store.select(FixedAddress.port, value)]
            found = [a for f in fixed for a in f.referrers(FloatingIPAssociation.fixed)]
            return [association.floating_ip for association in found]
        return super().candidates(filters)

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new floating IP with the port that holds its address, and its association."""
        network = self.databases.store.table(Network).get(UUID(values["floating_network_id"]))
        if network is None:
            raise NetworkNotFound(id=values["floating_network_id"])
        if not network.external:
            raise _bad(f"Network {network.uuid} is not a valid external network")
        asked = {"subnet_id": values["subnet_id"], "ip_address": values["floating_ip_address"]}
        wanted = {name: value for name, value in asked.items() if value is not None}
        uuid = new_uuid()
        port, chosen = self.ports.create(
            draft, network, owner=FLOATING_OWNER, device=uuid, wanted=[wanted] if wanted else None
        )
        held = next((ip for _, ip in chosen if ":" not in ip), None)
        if held is None:
            raise _bad(f"Network {network.uuid} does not contain any IPv4 subnet")
        project = project_of(draft, values)
        stored = self.stored(values) | {"project_id": project, "network": network.uuid, "port": port}
        stored |= has_policy(draft, find_policy(self.databases, values["qos_policy_id"]), project=project)
        draft.insert(FloatingIP, stored, uuid)
        if values.get("port_id") is not None:
            self._associate(draft, uuid, held, network, values["port_id"], values.get("fixed_ip_address"))
        elif values.get("fixed_ip_address") is not None:
            raise _bad("fixed_ip_address cannot be specified without a port_id")
        return uuid

    def update(self, draft: Draft, row: FloatingIP, values: dict[str, Any]) -> None:
        """Write a change of a floating IP; without a port in the request the floating IP is disassociated."""
        association: FloatingIPAssociation | None = row.referrer(FloatingIPAssociation.floating_ip)
        wanted, fixed_ip = values.get("port_id", UNSET if values else None), values.get("fixed_ip_address")
        if fixed_ip is not None and wanted in (UNSET, None):
            raise _bad("fixed_ip_address cannot be specified without a port_id")
        if wanted not in (UNSET, None) and row.referrers(PortForwarding.floating_ip):
            raise FipInUseByPortForwarding(id=row.uuid)
        if wanted is not UNSET:
            if association is not None:
                draft.transaction.delete(association)
            if wanted is not None:
                held = row.port.referrers(FixedAddress.port)[0].address
                self._associate(draft, row.uuid, held, row.network, wanted, fixed_ip)
        changed = {"description": values["description"]} if "description" in values else {}
        if "qos_policy_id" in values:
            check_taken_away(draft, row.qos_policy)
            policy = find_policy(self.databases, values["qos_policy_id"])
            changed |= has_policy(draft, policy, project=row.project_id)
        draft.update(row, changed)

    def delete(self, draft: Draft, row: FloatingIP) -> None:
        """Write the removal of a floating IP and the release of its address."""
        if row.referrers(PortForwarding.floating_ip):
            raise FipInUseByPortForwarding(id=row.uuid)
        for association in row.referrers(FloatingIPAssociation.floating_ip):
            draft.transaction.delete(association)
        self.ports.delete(draft, row.port)

    # -- association --------------------------------------------------------------------------------------------------

    def _associate(
        self, draft: Draft, uuid: UUID, held: str, network: Network, port_id: str, fixed_ip: str | None
    ) -> None:
        """Write the association of a floating IP with a fixed IP."""
        port = self.databases.store.table(Port).get(UUID(port_id))
        if port is None:
            raise PortNotFound(id=port_id)
        if not draft.caller.admin and port.project_id != draft.caller.project:
            raise _bad(
                f"Cannot process floating IP association with Port {port_id}, since that port is owned by a different "
                "project"
            )
        if any(f.referrers(PortForwarding.fixed) for f in port.referrers(FixedAddress.port)):
            raise PortHasPortForwarding(port_id=port_id)
        fixed = _fixed(port, fixed_ip)
        key = (FloatingIPAssociation.network, network.uuid), (FloatingIPAssociation.fixed, fixed.uuid)
        if any(
            FloatingIPAssociation.network.raw(other) == network.uuid
            and FloatingIPAssociation.floating_ip.raw(other) != uuid
            for other in fixed.referrers(FloatingIPAssociation.fixed)
        ):
            raise FloatingIPPortAlreadyAssociated(
                floating_ip_address=held, fip_id=uuid, port_id=port_id, fixed_ip=fixed.address, net_id=network.uuid
            )
        self.databases.take(draft, *key)
        interface, outside = way_out(network, port, fixed)
        values = {"floating_ip": uuid, "network": network.uuid, "fixed": fixed.uuid}
        draft.transaction.insert(FloatingIPAssociation, values | {"interface": interface.uuid, "gateway": outside.uuid})


def shown_forwarding(row: PortForwarding) -> dict[str, Any]:
    """Return what is shown of a port forwarding, also by its floating IP."""
    single = {f"{side}_port": ports[0] for side in SIDES if len(ports := forwarded_ports(row, side)) == 1}
    return {
        "id": row.uuid,
        "protocol": row.protocol,
        "internal_ip_address": row.fixed.address,
        "internal_port_id": FixedAddress.port.raw(row.fixed),
        **single,
    }


def forwarded_ports(row: PortForwarding, side: str) -> range:
    """Return the ports of one side of a port forwarding."""
    first, last = row[f"{side}_port"], row[f"{side}_last"]
    return range(first, (first if last is None else last) + 1)


def _fixed(port: Port, wanted: str | None) -> FixedAddress:
    """Return the fixed IP of a port to associate: the requested one, or the only IPv4 address."""
    fixed: list[FixedAddress] = [f for f in port.referrers(FixedAddress.port) if ":" not in f.address]
    if wanted is not None:
        found = next((f for f in fixed if f.address == wanted), None)
        if found is None:
            raise _bad(f"Port {port.uuid} does not have fixed ip {wanted}")
        return found
    if not fixed:
        raise _bad(f"Cannot add floating IP to port {port.uuid} that has no fixed IPv4 addresses")
    if len(fixed) > 1:
        raise _bad(
            f"Port {port.uuid} has multiple fixed IPv4 addresses. Must provide a specific IPv4 address when assigning "
            f"a floating IP"
        )
    return fixed[0]


def way_out(network: Network, port: Port, fixed: FixedAddress) -> tuple[RouterInterface, RouterGateway]:
    """Return the interface and the gateway of the router between an address and an external network.

    The router that is the gateway of the address's subnet is preferred.

    Arguments:
        network: the external network.
        port: the internal port.
        fixed: the port's address.

    Raises:
        ExternalGatewayForFloatingIPNotFound: no router connects the two.
    """
    subnet = fixed.subnet
    ways = []
    for interface in port.network.referrers(RouterInterface.network):
        mine = [f.address for f in interface.port.referrers(FixedAddress.port)
                if FixedAddress.subnet.raw(f) == subnet.uuid]  # fmt: skip
        through = (one for one in gateways_of(interface.router) if Port.network.raw(one.port) == network.uuid)
        if mine and (outside := next(through, None)) is not None:
            ways.append((subnet.gateway_ip not in mine, interface, outside))
    if not ways:
        raise ExternalGatewayForFloatingIPNotFound(
            external_network_id=network.uuid, subnet_id=subnet.uuid, port_id=port.uuid
        )
    _, interface, outside = min(ways, key=lambda way: way[0])
    return interface, outside


def _bad(reason: str) -> BadFloatingIPRequest:
    return BadFloatingIPRequest(reason=f"{reason}.")
