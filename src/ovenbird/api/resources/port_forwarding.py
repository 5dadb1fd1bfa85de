"""Port forwardings: single ports of a floating IP that are forwarded to ports of fixed IPs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.attributes import REQUIRED, UNSET, Attribute, shown
from ovenbird.api.errors.port import PortNotFound
from ovenbird.api.errors.router import (
    BadPortForwardingRequest,
    ExternalGatewayForFloatingIPNotFound,
    FloatingIPNotFound,
    FloatingIPPortAlreadyAssociated,
    PortForwardingNotFound,
    PortHasBindingFloatingIP,
)
from ovenbird.api.resource import Parent, Resource
from ovenbird.api.resources.floating_ip import way_out
from ovenbird.api.values import address, integer, one_of, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import FixedAddress, FloatingIP, FloatingIPAssociation, Port, PortForwarding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft

PORT = integer(1, 65_535)


class PortForwardings(Resource[PortForwarding]):
    """``/v2.0/floatingips/ID/port_forwardings``."""

    member = "port_forwarding"
    collection = "port_forwardings"
    within = "floatingips"
    path = "port_forwardings"
    policy_name = "floatingip_port_forwarding"
    row_class = PortForwarding
    not_found = PortForwardingNotFound
    taggable = False
    parent = Parent(attribute="floatingip_id", column="floating_ip", called="floatingip", rows=FloatingIP)
    references: ClassVar[Mapping[str, str]] = {"internal_port_id": "ports"}
    extensions: ClassVar[Mapping[str, str]] = {
        "floating-ip-port-forwarding": "Floating IP Port Forwarding",
        "floating-ip-port-forwarding-description": "Floating IP Port Forwarding new field",
        "floating-ip-port-forwarding-detail": "Floating IP Port Forwarding with port details",
        "expose-port-forwarding-in-fip": "Add a list of port forwardings to the floating IP",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(
            f"{ADMIN} or (role:member and rule:ext_parent_owner)",
            *(f"{verb}_floatingip_port_forwarding" for verb in ("create", "update", "delete")),
        ),
        "get_floatingip_port_forwarding": f"{ADMIN} or (role:reader and rule:ext_parent_owner)",
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(uuid_value),
        "project_id": Attribute(text(), put=False, filterable=False),
        "internal_port_id": Attribute(uuid_value, default=REQUIRED),
        "internal_ip_address": Attribute(address, default=UNSET, filterable=False),
        "internal_port": Attribute(PORT, default=REQUIRED, filterable=False, column="internal_port"),
        "external_port": Attribute(PORT, default=REQUIRED, column="external_port"),
        "protocol": Attribute(one_of("tcp", "udp"), default=REQUIRED, column="protocol"),
        "description": Attribute(text(), default="", column="description"),
    }

    def render(self, row: PortForwarding) -> dict[str, Any]:
        """Return what the API shows of a port forwarding."""
        return {
            "id": row.uuid,
            "internal_port_id": FixedAddress.port.raw(row.fixed),
            "internal_ip_address": row.fixed.address,
            "internal_port": row.internal_port,
            "external_port": row.external_port,
            "protocol": row.protocol,
            "description": row.description,
        }

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new port forwarding."""
        floating = self.databases.store.table(FloatingIP).get(values["floatingip_id"])
        if floating is None:
            raise FloatingIPNotFound(id=values["floatingip_id"])
        fixed, way = self._target(floating, values["internal_port_id"], values.get("internal_ip_address"))
        if floating.referrers(FloatingIPAssociation.floating_ip):
            raise FloatingIPPortAlreadyAssociated(
                floating_ip_address=_address_of(floating),
                fip_id=floating.uuid,
                port_id=values["internal_port_id"],
                fixed_ip=fixed.address,
                net_id=FloatingIP.network.raw(floating),
            )
        self._check_free(floating, fixed, values, None)
        draft.touch(floating)
        return draft.insert(PortForwarding, self.stored(values) | way | {"floating_ip": floating.uuid})

    def update(self, draft: Draft, row: PortForwarding, values: dict[str, Any]) -> None:
        """Write a change of a port forwarding's external port or its target."""
        fixed: FixedAddress = row.fixed
        way: dict[str, UUID] = {}
        if "internal_port_id" in values or "internal_ip_address" in values:
            port = values.get("internal_port_id", FixedAddress.port.raw(fixed))
            fixed, way = self._target(row.floating_ip, port, values.get("internal_ip_address"))
            way.pop("gateway")
        names = ("protocol", "external_port", "internal_port")
        self._check_free(row.floating_ip, fixed, {name: values.get(name, row[name]) for name in names}, row)
        draft.touch(row.floating_ip)
        draft.update(row, self.stored(values) | way)

    def delete(self, draft: Draft, row: PortForwarding) -> None:
        """Write the removal of a port forwarding."""
        draft.touch(row.floating_ip)
        draft.transaction.delete(row)

    def _target(self, floating: FloatingIP, port_id: str, wanted: str | None) -> tuple[FixedAddress, dict[str, UUID]]:
        """Return the target address of a port forwarding, and the columns that lead to it.

        The target is the requested address, or the port's first. One router has all port forwardings of a floating IP.

        Arguments:
            floating: the floating IP.
            port_id: the internal port.
            wanted: the requested address of the port; None for any.

        Raises:
            NeutronError: the floating IP cannot be forwarded to this address.
        """
        port = self.databases.store.table(Port).get(UUID(port_id))
        if port is None:
            raise PortNotFound(id=port_id)
        fixed: list[FixedAddress] = [f for f in port.referrers(FixedAddress.port) if ":" not in f.address]
        if not fixed:
            raise _bad(f"Requested internal port {port_id} must allocate an IPv4 address at least")
        found = next((f for f in fixed if wanted in (None, f.address)), None)
        if found is None:
            raise _bad(f"Requested internal IP address {wanted} is not an address of port {port_id}")
        for association in (a for f in fixed for a in f.referrers(FloatingIPAssociation.fixed)):
            raise PortHasBindingFloatingIP(
                floating_ip_address=_address_of(association.floating_ip),
                fip_id=association.floating_ip.uuid,
                port_id=port_id,
                fixed_ip=found.address,
            )
        try:
            interface, outside = way_out(floating.network, port, found)
        except ExternalGatewayForFloatingIPNotFound as error:
            raise _bad(str(error).rstrip(".")) from error
        for other in floating.referrers(PortForwarding.floating_ip):
            if PortForwarding.gateway.raw(other) != outside.uuid:
                raise _bad(f"Floating IP {floating.uuid} has port forwardings of another router than port {port_id}")
        return found, {"fixed": found.uuid, "interface": interface.uuid, "gateway": outside.uuid}

    def _check_free(
        self, floating: FloatingIP, fixed: FixedAddress, values: Mapping[str, Any], but: PortForwarding | None
    ) -> None:
        """Check that no other port forwarding has the same external or internal port; the indexes guarantee it.

        Arguments:
            floating: the floating IP.
            fixed: the target address.
            values: protocol and ports.
            but: the port forwarding that is being changed.

        Raises:
            BadPortForwardingRequest: another one has the same port.
        """
        for others, name in (
            (floating.referrers(PortForwarding.floating_ip), "external_port"),
            (fixed.referrers(PortForwarding.fixed), "internal_port"),
        ):
            for other in others:
                same = (other.protocol, other[name]) == (values["protocol"], values[name])
                if same and (but is None or other.uuid != but.uuid):
                    raise _bad(f"{name} {values[name]}/{values['protocol']} is forwarded by {other.uuid} already")


def _address_of(floating: FloatingIP) -> str:
    held: FixedAddress | None = floating.port.referrer(FixedAddress.port)
    return held.address if held is not None else ""


def _bad(reason: str) -> BadPortForwardingRequest:
    return BadPortForwardingRequest(reason=reason)
