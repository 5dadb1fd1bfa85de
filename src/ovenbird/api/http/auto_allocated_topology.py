"""The topology that a project receives when it first asks for a network, in one transaction: it, subnets and a router.

The subnets are from the default subnet pools, the router's gateway is on the default external network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs

import orjson

from ovenbird.api import attributes
from ovenbird.api.access.rules import MEMBER, READER
from ovenbird.api.errors.base import BadRequest, NotFound
from ovenbird.api.errors.network import AutoAllocationFailure, BadTopologyRequest
from ovenbird.api.errors.request import NotAuthorized, PolicyNotAuthorized
from ovenbird.api.errors.router import RouterInUse
from ovenbird.api.errors.subnet_pool import SubnetAllocationError
from ovenbird.api.http.endpoints import Call, Endpoint
from ovenbird.api.ports.macs import reserve_mac
from ovenbird.api.ports.service_ports import INTERFACE_OWNER
from ovenbird.api.resources.network import Networks
from ovenbird.api.resources.router import Routers
from ovenbird.api.resources.subnet import Subnets
from ovenbird.api.resources.subnet_pool import default_pool
from ovenbird.model.cloud import (
    AutoAllocatedTopology,
    DefaultExternalNetwork,
    FixedAddress,
    FloatingIPAssociation,
    Network,
    Port,
    PortForwarding,
    Router,
    RouterInterface,
    Subnet,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID
    from ovenbird.model.cloud import SubnetPool

DRY_RUN = "dry-run"


class AutoAllocatedTopologies(Endpoint):
    """The endpoint ``/v2.0/auto-allocated-topology/PROJECT``.

    Arguments:
        databases: contain the resources.
    """

    rules: ClassVar[Mapping[str, str]] = {
        "get_auto_allocated_topology": READER,
        "delete_auto_allocated_topology": MEMBER,
    }

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.networks, self.subnets, self.routers = Networks(databases), Subnets(databases), Routers(databases)

    async def show(self, call: Call, uuid: str) -> bytes:
        """Return the network of a project's topology, which is made if it is not there; or only check that it can be.

        Arguments:
            call: the request.
            uuid: the project.

        Raises:
            AutoAllocationFailure: the cloud lacks a default subnet pool or external network, or addresses.
            NeutronError: the request is refused.
        """
        project = _project(call, uuid, "get_auto_allocated_topology")
        fields = parse_qs(call.query.decode("ascii", "replace")).get("fields", [])

        def build(draft: Draft) -> str:
            if DRY_RUN in fields:
                self._outside()
                if not self._pools(draft):
                    raise AutoAllocationFailure(reason="No default subnetpools defined")
                return "dry-run=pass"
            if fields:
                raise BadTopologyRequest
            found = self._find(project)
            network: str = self._build(draft, project) if found is None else AutoAllocatedTopology.network.raw(found)
            return network

        network = await self.databases.change(call.caller, build)
        shown = {"id": network, "project_id": project} | ({} if fields else {"tenant_id": project})
        return orjson.dumps({"auto_allocated_topology": shown})

    async def delete(self, call: Call, uuid: str) -> None:
        """Delete a project's topology, if it has one.

        Arguments:
            call: the request.
            uuid: the project.

        Raises:
            NeutronError: it is in use.
        """
        project = _project(call, uuid, "delete_auto_allocated_topology")

        def build(draft: Draft) -> None:
            found = self._find(project)
            if found is not None:
                self._remove(draft, found)

        await self.databases.change(call.caller, build)

    def _find(self, project: str) -> AutoAllocatedTopology | None:
        return self.databases.store.table(AutoAllocatedTopology).find(AutoAllocatedTopology.project_id, project)

    def _outside(self) -> Network:
        """Return the default external network."""
        for row in self.databases.store.table(DefaultExternalNetwork):
            network: Network = row.network
            return network
        raise AutoAllocationFailure(reason="No default router:external network")

    def _pools(self, draft: Draft) -> list[SubnetPool]:
        """Return the default subnet pools."""
        return [pool for version in (4, 6) if (pool := default_pool(self.databases, draft, version)) is not None]

    # -- making -------------------------------------------------------------------------------------------------------

    def _build(self, draft: Draft, project: str) -> UUID:
        """Write a topology, and return its network."""
        outside, pools = self._outside(), self._pools(draft)
        claim = self.databases.quotas.claim
        claim(draft, "network", [project])
        claim(draft, "subnet", [project] * len(pools))
        claim(draft, "router", [project])
        if not pools:
            raise AutoAllocationFailure(reason="Unable to provide project private network")
        try:
            values = _defaults(Networks, name="auto_allocated_network", project_id=project)
            network: Network = draft.pending(self.databases.store.table(Network), self.networks.create(draft, values))
            subnets = [self._subnet(draft, network, pool) for pool in pools]
        except (BadRequest, NotFound, SubnetAllocationError):
            raise AutoAllocationFailure(reason="Unable to provide project private network") from None
        try:
            gateway = {"network_id": outside.uuid}
            values = _defaults(Routers, name="auto_allocated_router", project_id=project, external_gateway_info=gateway)
            router = self.routers.create(draft, values)
        except BadRequest:
            raise AutoAllocationFailure(reason="Unable to provide external connectivity") from None
        for subnet in subnets:
            self._connect(draft, router, network, subnet)
        topology = {"project_id": project, "network": network.uuid, "router": router}
        draft.transaction.insert(AutoAllocatedTopology, topology)
        made: UUID = network.uuid
        return made

    def _subnet(self, draft: Draft, network: Network, pool: SubnetPool) -> Subnet:
        """Write a subnet from a pool."""
        values = _defaults(
            Subnets,
            name=f"auto_allocated_subnet_v{pool.ip_version}",
            network_id=network.uuid,
            ip_version=pool.ip_version,
            project_id=network.project_id,
            subnetpool_id=pool.uuid,
        )
        made: Subnet = draft.pending(self.databases.store.table(Subnet), self.subnets.create_on(draft, network, values))
        return made

    def _connect(self, draft: Draft, router: UUID, network: Network, subnet: Subnet) -> None:
        """Write the interface of the new router on a new subnet, with the gateway's address."""
        port = draft.insert(
            Port,
            {
                "network": network.uuid,
                "project_id": network.project_id,
                "mac_address": reserve_mac(self.databases, draft, network),
                "admin_state_up": True,
                "device_owner": INTERFACE_OWNER,
                "device_id": router,
                "vnic_type": "normal",
            },
        )
        address = {"port": port, "subnet": subnet.uuid, "address": subnet.gateway_ip}
        draft.transaction.insert(FixedAddress, address)
        draft.transaction.insert(RouterInterface, {"router": router, "network": network.uuid, "port": port})

    # -- removing -----------------------------------------------------------------------------------------------------

    def _remove(self, draft: Draft, topology: AutoAllocatedTopology) -> None:
        """Write the removal of a topology that nothing else uses."""
        network: Network = topology.network
        router: Router | None = topology.router
        leaving = []
        for interface in router.referrers(RouterInterface.router) if router is not None else ():
            if RouterInterface.network.raw(interface) != network.uuid or any(
                interface.referrers(column) for column in (FloatingIPAssociation.interface, PortForwarding.interface)
            ):
                raise RouterInUse(id=interface.router.uuid)
            leaving.append(interface.port)
            draft.transaction.delete(interface)
            self.routers.gateways.ports.delete(draft, interface.port)
        self.networks.delete_with(draft, network, leaving)
        if router is not None:
            self.routers.gateways.update(draft, router, [])
            draft.transaction.delete(router)


def _defaults(resource: Any, **values: Any) -> dict[str, Any]:
    """Return the attributes of a new resource with their defaults, as of a request."""
    return attributes.parse(resource.attributes, values, creating=True)


def _project(call: Call, uuid: str, rule: str) -> str:
    """Return the project that a request is about; `None`, which clients send, means the caller's.

    Arguments:
        call: the request.
        uuid: the project in the URL.
        rule: the policy rule to check.

    Raises:
        NotAuthorized, PolicyNotAuthorized: the caller may not.
    """
    project = call.caller.project if uuid == "None" else uuid.removesuffix(".json")
    if not call.caller.admin and call.access is not None and project != call.caller.project:
        raise NotAuthorized
    facts = {"project_id": project, "tenant_id": project}
    if call.access is not None and not call.access.allows(rule, facts.__getitem__):
        raise PolicyNotAuthorized(rule=f"rule:{rule}")
    return project
