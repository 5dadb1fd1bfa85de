"""Trunks: parent ports whose instances reach further ports, the sub-ports, by VLAN tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import MEMBER, READER, each, tags
from ovenbird.api.attributes import REQUIRED, Attribute, shown
from ovenbird.api.errors.port import PortNotFound
from ovenbird.api.errors.request import HTTPBadRequest, InvalidInput
from ovenbird.api.errors.router import PortInUse
from ovenbird.api.errors.trunk import (
    DuplicateSubPort,
    ParentPortInUse,
    SubPortMtuGreaterThanTrunkPortMtu,
    SubPortNotFound,
    TrunkDisabled,
    TrunkInUse,
    TrunkNotFound,
    TrunkPortInUse,
)
from ovenbird.api.ports.binding_profiles import profile_text
from ovenbird.api.ports.port_bindings import BOUND, binding
from ovenbird.api.ports.trunk_ports import VLAN, ordered_sub_ports, shown_sub_port
from ovenbird.api.resource import STANDARD, Resource, project_of, standard
from ovenbird.api.resources.port import port_status
from ovenbird.api.values import boolean, integer, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID
from ovenbird.model.binding_profile import PARENT, TAG, is_external, profile
from ovenbird.model.cloud import NetworkSegment, Port, SubPort, Trunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovenbird.api.databases import Draft
    from ovenbird.engine.rows import ColumnOf
    from ovenbird.model.cloud import Network

SUB_PORTS = "sub_ports"

INHERIT = "inherit"
"""The segmentation type that asks for the VLAN tag of the sub-port's network."""

SUB_PORT_OWNER = "trunk:subport"
"""The device owner of sub-ports."""

MOST_SUB_PORTS = 4094
"""The largest number of sub-ports of a trunk: as many as there are VLAN tags."""

_SEGMENTATION = ("segmentation_type", "segmentation_id")
_MISSING = "missing segmentation information. Must specify both segmentation_id and segmentation_type"


def _sub_ports(value: Any) -> list[dict[str, Any]]:
    """Convert a list of sub-ports; whether their segmentation is valid depends on the trunk."""
    if not isinstance(value, list):
        raise ValueError(f"Invalid data format for subports: '{value}' is not a list")  # noqa: TRY004 (a request's error)
    if len(value) > MOST_SUB_PORTS:
        raise ValueError(f"{len(value)} subports exceed the maximum of {MOST_SUB_PORTS}")
    found: dict[str, dict[str, Any]] = {}
    for one in value:
        port = _port_of(one)
        if port in found:
            raise ValueError(f"Non unique UUID for subport: '{port}'")
        found[port] = one | {"port_id": port}
    _check_unique(found.values())
    return list(found.values())


def _port_of(one: Any) -> str:
    if not isinstance(one, dict):
        raise ValueError(f"Invalid data format for subport: '{one}' is not a dict")  # noqa: TRY004 (likewise)
    if "port_id" not in one:
        raise ValueError("A valid port UUID must be specified")
    try:
        return uuid_value(one["port_id"])
    except ValueError:
        raise ValueError(f"Invalid UUID for subport: '{one['port_id']}'") from None


def _check_unique(given: Iterable[Mapping[str, Any]]) -> None:
    """Check that sub-ports have both parts of a segmentation, or none as when they are removed, and each its own."""
    used = set()
    for one in given:
        kind, number = (one.get(name) for name in _SEGMENTATION)
        if kind == INHERIT:
            continue
        if (not kind or number is None) and len(one) > 1:
            raise ValueError(f"Invalid subport details '{one}': {_MISSING}")
        key = f"{kind} {number}"
        if number is not None and key in used:
            raise ValueError(f"Segmentation ID '{number}' for '{one['port_id']}' is not unique")
        used.add(key)


class Trunks(Resource[Trunk]):
    """``/v2.0/trunks``."""

    member = "trunk"
    collection = "trunks"
    row_class = Trunk
    not_found = TrunkNotFound
    references: ClassVar[Mapping[str, str]] = {"port_id": "ports", "sub_ports.port_id": "ports"}
    extensions: ClassVar[Mapping[str, str]] = {
        "trunk": "Trunk Extension",
        "trunk-details": "Trunk port details",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(MEMBER, "create_trunk", "update_trunk", "delete_trunk", "add_subports", "remove_subports"),
        **each(READER, "get_trunk", "get_subports"),
        **tags("trunk", reader=READER, member=MEMBER),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = STANDARD | {
        "name": Attribute(text(), default="", column="name"),
        "port_id": Attribute(uuid_value, default=REQUIRED, put=False),
        "admin_state_up": Attribute(boolean, default=True, column="admin_state_up"),
        SUB_PORTS: Attribute(_sub_ports, default=[], put=False, filterable=False),
        "status": shown(),
    }
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {"port_id": Trunk.port}
    actions: ClassVar[Mapping[str, str]] = {"add_subports": "add", "remove_subports": "remove"}
    answers_bare = True
    reads: ClassVar[Mapping[str, str]] = {"get_subports": "sub_ports"}

    def render(self, row: Trunk) -> dict[str, Any]:
        """Return what the API shows of a trunk."""
        return {
            **standard(row),
            "name": row.name,
            "port_id": Trunk.port.raw(row),
            "admin_state_up": row.admin_state_up,
            "status": self._status(row),
            **self.sub_ports(row),
            "tags": sorted(row.tags),
        }

    def sub_ports(self, row: Trunk) -> dict[str, Any]:
        """Return the sub-ports of a trunk."""
        return {SUB_PORTS: [shown_sub_port(one) for one in ordered_sub_ports(row)]}

    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new trunk, with its sub-ports."""
        port = self._port(values["port_id"])
        _check_free(port)
        if not self._may_change(port):
            raise ParentPortInUse(port_id=port.uuid)
        stored = self.stored(values) | {"project_id": project_of(draft, values), "port": port.uuid}
        uuid = draft.insert(Trunk, stored)
        draft.touch(port)  # that it becomes no sub-port meanwhile
        self._add(draft, uuid, port, values[SUB_PORTS])
        return uuid

    def update(self, draft: Draft, row: Trunk, values: dict[str, Any]) -> None:
        """Write a change of a trunk."""
        draft.update(row, self.stored(values))

    def delete(self, draft: Draft, row: Trunk) -> None:
        """Write the removal of a trunk; its sub-ports become ordinary ports."""
        _check_enabled(row)
        if not self._may_change(row.port):
            raise TrunkInUse(trunk_id=row.uuid)
        for one in row.referrers(SubPort.trunk):
            _release(draft, one)
        draft.touch(row.port)
        draft.transaction.delete(row)

    # -- actions ------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, body: Mapping[str, Any]) -> None:
        """Check the sub-ports in the request of an action."""
        del action
        _given(body)

    def add(self, draft: Draft, row: Trunk, body: Mapping[str, Any]) -> None:
        """Add sub-ports.

        Arguments:
            draft: the transaction.
            row: the trunk.
            body: the request's.
        """
        self._add(draft, row.uuid, row.port, _given(body), row.referrers(SubPort.trunk))
        _check_enabled(row)
        draft.update(row, {"released": False})

    def remove(self, draft: Draft, row: Trunk, body: Mapping[str, Any]) -> None:
        """Remove sub-ports.

        Arguments:
            draft: the transaction.
            row: the trunk.
            body: the request's.

        Raises:
            SubPortNotFound: a port is not one of its sub-ports.
        """
        _check_enabled(row)
        present = {SubPort.port.raw(one): one for one in row.referrers(SubPort.trunk)}
        for given in _given(body):
            one = present.get(given["port_id"])
            if one is None:
                raise SubPortNotFound(trunk_id=row.uuid, port_id=given["port_id"])
            _release(draft, one)
        draft.update(row, {"released": False})

    def _add(
        self, draft: Draft, trunk: UUID, parent: Port, given: list[dict[str, Any]], present: Iterable[SubPort] = ()
    ) -> None:
        """Write new sub-ports of a trunk.

        Arguments:
            draft: the transaction.
            trunk: the trunk's id.
            parent: its parent port.
            given: the new sub-ports, as the request has them.
            present: the sub-ports that the trunk has.
        """
        used = {one.segmentation_id for one in present}
        for one in given:
            if one["port_id"] == parent.uuid:
                raise ParentPortInUse(port_id=parent.uuid)
            if len(one) == 1:
                raise InvalidInput(error_message=f"Invalid subport details '{one}': {_MISSING}")
            port = self._port(one["port_id"])
            _check_mtu(parent, port)
            number = _segmentation(one, port.network)
            _check_free(port)
            if port.device_id:
                raise PortInUse(port_id=port.uuid, net_id=Port.network.raw(port), device_id=port.device_id)
            if number in used:
                raise DuplicateSubPort(segmentation_type=VLAN, segmentation_id=number, trunk_id=trunk)
            used.add(number)
            draft.transaction.insert(SubPort, {"trunk": trunk, "port": port.uuid, "segmentation_id": number})
            draft.update(port, {} if is_external(parent) else {"device_owner": SUB_PORT_OWNER})

    def _status(self, row: Trunk) -> str:
        """Return ACTIVE while OVN handles a trunk, bound or not; DOWN between two hosts of the parent port."""
        parent = row.port
        waits = row.released and port_status(self.databases, parent) != "ACTIVE"
        return "DOWN" if waits or is_external(parent) else "ACTIVE"

    def _port(self, uuid: str) -> Port:
        port = self.databases.store.table(Port).get(UUID(uuid))
        if port is None:
            raise PortNotFound(id=uuid)
        return port

    def _may_change(self, port: Port) -> bool:
        """Return whether a port may become, or cease to be, a parent port: it is not bound, or to a virtual switch."""
        return not port.host or binding(self.databases, port)[0] == BOUND


def _given(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the sub-ports in the body of an action."""
    if SUB_PORTS not in body:
        raise HTTPBadRequest(reason=f"Unable to find '{SUB_PORTS}' in request body")
    try:
        return _sub_ports(body[SUB_PORTS])
    except ValueError as error:
        raise InvalidInput(error_message=str(error)) from None


def _segmentation(one: Mapping[str, Any], network: Network) -> int:
    """Return the VLAN tag of a new sub-port: the given one, or that of the sub-port's network.

    Raises:
        InvalidInput: there is no valid one.
    """
    kind, number = (one.get(name) for name in _SEGMENTATION)
    if kind == INHERIT:
        segment: NetworkSegment | None = network.referrer(NetworkSegment.network)
        kind, number = (segment.network_type, segment.segmentation_id) if segment is not None else ("local", None)
    try:
        found = integer()(number)
    except ValueError:
        reason = f"Invalid subport details: segmentation_id '{number}' is not an integer"
        raise InvalidInput(error_message=reason) from None
    if kind != VLAN:
        raise InvalidInput(error_message=f"Unknown segmentation_type '{kind}'")
    if not 1 <= found <= MOST_SUB_PORTS:
        raise InvalidInput(error_message=f"Segmentation ID '{found}' is not in range")
    return found


def _check_free(port: Port) -> None:
    """Check that a port is part of no trunk; the indexes and the port's revision guarantee it."""
    if port.referrers(SubPort.port):
        raise TrunkPortInUse(port_id=port.uuid)
    if port.referrers(Trunk.port):
        raise ParentPortInUse(port_id=port.uuid)


def _check_mtu(parent: Port, port: Port) -> None:
    most, mine = parent.network.mtu, port.network.mtu
    if mine > most:
        raise SubPortMtuGreaterThanTrunkPortMtu(port_id=port.uuid, port_mtu=mine, trunk_id=parent.uuid, trunk_mtu=most)


def _check_enabled(trunk: Trunk) -> None:
    if not trunk.admin_state_up:
        raise TrunkDisabled(trunk_id=trunk.uuid)


def _release(draft: Draft, one: SubPort) -> None:
    """Write that a port leaves its trunk."""
    port = one.port
    draft.transaction.delete(one)
    known = {key: value for key, value in profile(port).items() if key not in (PARENT, TAG)}
    draft.update(port, {"device_owner": "", "binding_profile": profile_text(known)})
