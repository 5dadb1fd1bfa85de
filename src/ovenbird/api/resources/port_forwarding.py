"""Port forwardings: ports of a floating IP, single or in ranges, that are forwarded to ports of fixed IPs."""

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
from ovenbird.api.resources.floating_ip import SIDES, forwarded_ports, shown_forwarding, way_out
from ovenbird.api.values import address, integer, one_of, optional, port_range, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model import settings
from ovenbird.model.cloud import FixedAddress, FloatingIP, FloatingIPAssociation, Port, PortForwarding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Draft

FORWARDED_PORT = optional(integer(1, 65_535))
RANGE = optional(port_range)


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
        "floating-ip-port-forwarding-port-ranges": "Floating IP Port Forwarding support port ranges",
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
        "internal_port": Attribute(FORWARDED_PORT, default=None, filterable=False),
        "external_port": Attribute(FORWARDED_PORT, default=None),
        "internal_port_range": Attribute(RANGE, default=None, filterable=False),
        "external_port_range": Attribute(RANGE, default=None, sought=text()),
        "protocol": Attribute(one_of("tcp", "udp"), default=REQUIRED, column="protocol"),
        "description": Attribute(text(), default="", column="description"),
    }

    def render(self, row: PortForwarding) -> dict[str, Any]:
        """Return what the API shows of a port forwarding."""
        return shown_forwarding(row) | {"description": row.description} | _ranges(row)

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
        ports = _wanted(values, {})
        self._check_free(draft, floating, fixed, values["protocol"], ports, None)
        stored = self.stored(values) | way | _columns(ports) | {"floating_ip": floating.uuid}
        return draft.insert(PortForwarding, stored)

    def update(self, draft: Draft, row: PortForwarding, values: dict[str, Any]) -> None:
        """Write a change of a port forwarding's external port or its target."""
        fixed: FixedAddress = row.fixed
        way: dict[str, UUID] = {}
        if "internal_port_id" in values or "internal_ip_address" in values:
            port = values.get("internal_port_id", FixedAddress.port.raw(fixed))
            fixed, way = self._target(row.floating_ip, port, values.get("internal_ip_address"))
            way.pop("gateway")
        ports = _wanted(values, {side: forwarded_ports(row, side) for side in SIDES})
        self._check_free(draft, row.floating_ip, fixed, values.get("protocol", row.protocol), ports, row)
        draft.update(row, self.stored(values) | way | _columns(ports))

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
        self,
        draft: Draft,
        floating: FloatingIP,
        fixed: FixedAddress,
        protocol: str,
        ports: Mapping[str, range],
        but: PortForwarding | None,
    ) -> None:
        """Check that no other port forwarding has one of the ports, also when this is committed.

        Arguments:
            draft: the transaction.
            floating: the floating IP.
            fixed: the target address.
            protocol: of the ports.
            ports: by side.
            but: the port forwarding that is being changed.

        Raises:
            BadPortForwardingRequest: another one has a port, or the floating IP has too many.
        """
        draft.touch(floating)
        draft.expect(fixed.port)
        others: dict[str, tuple[PortForwarding, ...]] = {
            "external": tuple(floating.referrers(PortForwarding.floating_ip)),
            "internal": tuple(fixed.referrers(PortForwarding.fixed)),
        }
        for side, mine in ports.items():
            for other in others[side]:
                theirs = forwarded_ports(other, side)
                overlap = mine[0] <= theirs[-1] and theirs[0] <= mine[-1]
                if overlap and other.protocol == protocol and (but is None or other.uuid != but.uuid):
                    raise _bad(
                        f"There is a port collision with the {side}_port_range. The following ranges collide: "
                        f"{_text(theirs)} and {_text(mine)}"
                    )
        most = settings.MAX_FORWARDED_PORTS.of(floating.home.store)
        kept = (one for one in others["external"] if but is None or one.uuid != but.uuid)
        if sum(len(forwarded_ports(one, "external")) for one in kept) + len(ports["external"]) > most:
            raise _bad(f"A floating IP cannot have more than {most} forwarded ports")


def _ranges(row: PortForwarding) -> dict[str, str]:
    return {f"{side}_port_range": _text(forwarded_ports(row, side)) for side in SIDES}


def _text(ports: range) -> str:
    return f"{ports[0]}:{ports[-1]}"


def _wanted(values: Mapping[str, Any], present: Mapping[str, range]) -> dict[str, range]:
    """Return the ports of both sides; a single port is preferred to a range.

    Arguments:
        values: of the request.
        present: the ports of a side that the request does not mention.

    Raises:
        BadPortForwardingRequest: a side has none, or the sides do not fit.
    """
    ports = dict(present)
    for side in SIDES:
        single, several = values.get(f"{side}_port"), values.get(f"{side}_port_range")
        if single is not None:
            ports[side] = range(single, single + 1)
        elif several is not None:
            ports[side] = range(several[0], several[1] + 1)
        elif side not in ports:
            raise _bad(f"Either {side}_port or {side}_port_range is required")
    if len(ports["internal"]) not in (1, len(ports["external"])):
        raise _bad(
            "Invalid ranges of internal and/or external ports. The relation between internal and external ports must "
            "be N-N or 1-N"
        )
    return ports


def _columns(ports: Mapping[str, range]) -> dict[str, int | None]:
    """Return ports as the columns of the database."""
    first = {f"{side}_port": one[0] for side, one in ports.items()}
    return first | {f"{side}_last": one[-1] if len(one) > 1 else None for side, one in ports.items()}


def _address_of(floating: FloatingIP) -> str:
    held: FixedAddress | None = floating.port.referrer(FixedAddress.port)
    return held.address if held is not None else ""


def _bad(reason: str) -> BadPortForwardingRequest:
    return BadPortForwardingRequest(reason=reason)
