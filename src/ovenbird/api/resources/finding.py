"""Findings: rows and settings that have no effect, as the compilers report them (`ovenbird.engine.findings`).

Neutron has no such resource. A finding exists for as long as its cause does; its id is that of its row in Cloud. If the
API created the affected resource, the finding names it: a row of Northbound identifies the resource by its name or its
`external_ids`, which are Neutron's. The findings of controllers are in Southbound, in the rows of their chassis.
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.access.rules import ADMIN
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.other import FindingNotFound
from ovenbird.api.read_only_resource import ReadOnlyResource
from ovenbird.engine.rows import UUID
from ovenbird.model import chassis_findings, cloud, nb
from ovenbird.model.sb import ChassisPrivate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.engine.rows import Row, Store

Subject = tuple[str, str]
"""A resource: its member name in bodies, and its id."""

UNKNOWN: Subject = ("", "")


class Findings(ReadOnlyResource):
    """``/v2.0/findings``."""

    member = "finding"
    collection = "findings"
    extensions: ClassVar[Mapping[str, str]] = {
        "findings": "Findings: what has no effect",
    }
    rules: ClassVar[Mapping[str, str]] = {
        "get_finding": ADMIN,
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(),
        "project_id": shown(),
        "reporter": shown(),
        "description": shown(),
        "resource_type": shown(),
        "resource_id": shown(),
        "row_table": shown(),
        "row_uuid": shown(),
    }

    def values(self) -> list[dict[str, Any]]:
        """Return every finding: of the compilers, and of the controllers."""
        found = [self._shown(row) for row in self.databases.store.table(cloud.Finding).rows.values()]
        southbound = self.databases.southbound
        for chassis in southbound.store.table(ChassisPrivate).rows.values() if southbound is not None else ():
            found += _of_chassis(chassis)
        return found

    def not_found(self, uuid: str) -> Exception:
        """Return the error for an unknown id."""
        return FindingNotFound(id=uuid)

    def _shown(self, finding: cloud.Finding) -> dict[str, Any]:
        kind, uuid = self._subject(finding)
        row = self.databases.store.table(TABLES[kind]).get(UUID(uuid)) if kind else None
        project = row["project_id"] if row is not None else ""
        return {
            "id": finding.uuid,
            "project_id": project,
            "tenant_id": project,
            "reporter": finding.reporter,
            "description": finding.text,
            "resource_type": kind or None,
            "resource_id": uuid or None,
            "row_table": finding.row_table,
            "row_uuid": finding.row_uuid,
        }

    def _subject(self, finding: cloud.Finding) -> Subject:
        """Return the resource that a finding concerns."""
        northbound = self.databases.northbound
        if finding.reporter == "cloud":
            return _of_cloud(self.databases.store, finding.row_table, UUID(finding.row_uuid))
        if northbound is None or finding.row_table not in OF_NORTHBOUND:
            return UNKNOWN
        rows, subject = OF_NORTHBOUND[finding.row_table]
        row = northbound.store.table(rows).get(UUID(finding.row_uuid))
        return subject(row) if row is not None else UNKNOWN


def _of_chassis(private: ChassisPrivate) -> list[dict[str, Any]]:
    """Return the findings of a controller; their ids are computed from the text and the chassis."""
    chassis = private.chassis
    host = chassis.hostname if chassis is not None else private.name
    return [
        {
            "id": str(uuids.uuid5(uuids.UUID(private.uuid), text)),
            "project_id": "",
            "tenant_id": "",
            "reporter": "controller",
            "description": f"{host}: {text}",
            "resource_type": "agent",
            "resource_id": private.name,
            "row_table": ChassisPrivate.TABLE,
            "row_uuid": private.uuid,
        }
        for text in chassis_findings.decode(private.external_ids.get(chassis_findings.KEY, ""))
    ]


TABLES: dict[str, type[Row]] = {
    "network": cloud.Network,
    "subnet": cloud.Subnet,
    "port": cloud.Port,
    "router": cloud.Router,
    "floatingip": cloud.FloatingIP,
    "security_group": cloud.SecurityGroup,
    "address_group": cloud.AddressGroup,
}
"""The tables whose rows a finding can concern."""

_KINDS = {row_class.TABLE: kind for kind, row_class in TABLES.items()}


def _of_cloud(store: Store, table: str, uuid: UUID) -> Subject:
    """Return the resource of a row of Cloud: the row itself, or for a segment its network."""
    if table == cloud.NetworkSegment.TABLE:
        segment = store.table(cloud.NetworkSegment).get(uuid)
        return ("network", cloud.NetworkSegment.network.raw(segment)) if segment is not None else UNKNOWN
    return (_KINDS[table], uuid) if table in _KINDS else UNKNOWN


def _by_name(kind: str, prefix: str) -> Callable[[Any], Subject]:
    """Return a function that gets the resource from a row's name."""
    return lambda row: (kind, row.name.removeprefix(prefix)) if row.name.startswith(prefix) else UNKNOWN


def _of_switch_port(row: nb.LogicalSwitchPort) -> Subject:
    """Return the port of a switch port, or for a localnet port its network."""
    if row.type == "localnet":
        switch = row.referrer(nb.LogicalSwitch.ports)
        return _of_switch(switch) if switch is not None else UNKNOWN
    return ("port", row.name) if "neutron:port_name" in row.external_ids else UNKNOWN


def _of_options(row: nb.DHCPOptions) -> Subject:
    """Return the port or the subnet of DHCP options."""
    for kind in ("port", "subnet"):
        if uuid := row.external_ids.get(f"{kind}_id"):
            return kind, uuid
    return UNKNOWN


def _of_router_row(row: nb.NAT | nb.LogicalRouterStaticRoute) -> Subject:
    """Return the floating IP of a NAT row, or the router of another NAT row or a route."""
    made_for = row.external_ids
    if uuid := made_for.get("neutron:fip_id"):
        return "floatingip", uuid
    name = made_for.get("neutron:router_name", "")
    return ("router", name.removeprefix(_NEUTRON)) if name.startswith(_NEUTRON) else UNKNOWN


_NEUTRON = "neutron-"
_of_switch = _by_name("network", _NEUTRON)

OF_NORTHBOUND: dict[str, tuple[type[Row], Callable[[Any], Subject]]] = {
    nb.LogicalSwitch.TABLE: (nb.LogicalSwitch, _of_switch),
    nb.LogicalSwitchPort.TABLE: (nb.LogicalSwitchPort, _of_switch_port),
    nb.LogicalRouter.TABLE: (nb.LogicalRouter, _by_name("router", _NEUTRON)),
    nb.LogicalRouterPort.TABLE: (nb.LogicalRouterPort, _by_name("port", "lrp-")),
    nb.LogicalRouterStaticRoute.TABLE: (nb.LogicalRouterStaticRoute, _of_router_row),
    nb.NAT.TABLE: (nb.NAT, _of_router_row),
    nb.DHCPOptions.TABLE: (nb.DHCPOptions, _of_options),
}
"""For each table of Northbound that the compiler from Cloud writes: its row class, and a row's resource."""
