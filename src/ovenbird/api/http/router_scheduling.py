"""Requests about which chassis host a router's gateways (Networking API v2.0, "L3 agent scheduler").

An L3 agent is a chassis that can be a gateway; its id is the chassis's name. The first change of a router's chassis
stores the present schedule with the router, and from then on it is only changed by these requests, until the router has
no gateway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import orjson

from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.errors.other import (
    HAChassisPriorityAlreadyAssigned,
    InvalidHAChassisPriority,
    InvalidL3Agent,
    RouterHostedByL3Agent,
    RouterNotHostedByL3Agent,
)
from ovenbird.api.errors.request import HTTPBadRequest, PolicyNotAuthorized
from ovenbird.api.errors.router import RouterNotFound
from ovenbird.api.http.endpoints import Call, Endpoint
from ovenbird.api.ports.gateway_chassis import HIGHEST_PRIORITY, MOST_CHASSIS, can_host, hosting
from ovenbird.api.resources.agent import GATEWAY_AGENT
from ovenbird.api.values import integer
from ovenbird.engine.rows import UUID
from ovenbird.model.cloud import Router, gateways_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.api.resource import Resource
    from ovenbird.api.resources.agent import Agents

PRIORITY = integer()


class Scheduling(Endpoint):
    """What both endpoints share.

    Arguments:
        databases: where routers and chassis are.
        agents: the agents.
        routers: the routers.
    """

    def __init__(self, databases: Databases, agents: Agents, routers: Resource[Router]) -> None:
        self.databases = databases
        self.agents = agents
        self.routers = routers

    def router(self, uuid: str) -> Router:
        """Return a router.

        Raises:
            RouterNotFound: there is none.
        """
        found = self.databases.store.table(Router).get(UUID(uuid))
        if found is None:
            raise RouterNotFound(id=uuid)
        return found


class HostedRouters(Scheduling):
    """``/v2.0/agents/ID/l3-routers``."""

    extensions: ClassVar[Mapping[str, str]] = {
        "l3-agent-scheduler-ha-chassis-priority": "L3 Agent Scheduler HA Chassis Priority",
        "l3_agent_scheduler": "L3 Agent Scheduler",
    }
    rules: ClassVar[Mapping[str, str]] = each(
        ADMIN, "get_l3-routers", "create_l3-router", "update_l3-router", "delete_l3-router", "get_l3-agents"
    )

    async def list(self, call: Call) -> bytes:
        """Return the routers with a gateway on a chassis.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            InvalidL3Agent: there is no such agent.
        """
        _demand(call, "get_l3-routers")
        chassis = self._agent(call.parent)
        rows = (row for row in self.databases.store.table(Router) if chassis in hosting(self.databases, row))
        return orjson.dumps({"routers": [self.routers.renderings.of(row).value for row in rows]})

    async def create(self, call: Call) -> bytes:
        """Let a chassis host a router's gateways, by default with the lowest priority.

        Raises:
            NeutronError: the request is refused.
        """
        _demand(call, "create_l3-router")
        chassis, body = self._agent(call.parent), await call.body()
        uuid = body.get("router_id") if isinstance(body, dict) else None
        if not isinstance(uuid, str):
            raise HTTPBadRequest(reason="Failed to parse request. Required attribute 'router_id' not specified")
        wanted = _priority(body)

        def add(row: Router, present: dict[str, int]) -> dict[str, int]:
            if chassis in present:
                raise RouterHostedByL3Agent(router_id=uuid, agent_id=chassis)
            if not all(can_host(self.databases, chassis, outside) for outside in gateways_of(row)):
                raise InvalidL3Agent(id=chassis)
            priority = min(present.values(), default=MOST_CHASSIS + 1) - 1 if wanted is None else wanted
            return present | {chassis: _free(priority, present)}

        await self._change(call, uuid, add)
        return b"null"

    async def update(self, call: Call, uuid: str) -> bytes:
        """Change the priority of a chassis for a router's gateways.

        Arguments:
            call: the request.
            uuid: the router's id.

        Raises:
            NeutronError: the request is refused.
        """
        _demand(call, "update_l3-router")
        chassis, body = self._agent(call.parent), await call.body()
        wanted = _priority(body if isinstance(body, dict) else {})

        def move(row: Router, present: dict[str, int]) -> dict[str, int]:
            if chassis not in present:
                raise RouterNotHostedByL3Agent(router_id=row.uuid, agent_id=chassis)
            return present if wanted is None else present | {chassis: _free(wanted, present)}

        await self._change(call, uuid, move)
        return b"null"

    async def delete(self, call: Call, uuid: str) -> None:
        """Take a router's gateways from a chassis.

        Arguments:
            call: the request.
            uuid: the router's id.

        Raises:
            NeutronError: the request is refused.
        """
        _demand(call, "delete_l3-router")
        chassis = self._agent(call.parent)

        def remove(row: Router, present: dict[str, int]) -> dict[str, int]:
            if chassis not in present:
                raise RouterNotHostedByL3Agent(router_id=row.uuid, agent_id=chassis)
            return {name: priority for name, priority in present.items() if name != chassis}

        await self._change(call, uuid, remove)

    async def _change(self, call: Call, uuid: str, change: Callable[[Router, dict[str, int]], dict[str, int]]) -> None:
        def build(draft: Draft) -> None:
            row = self.router(uuid)
            present = hosting(self.databases, row)
            chosen = change(row, present)
            if chosen != present or not row.has_own_schedule:
                draft.update(row, {"has_own_schedule": True, "gateway_chassis": chosen})

        await self.databases.change(call.caller, build)

    def _agent(self, uuid: str) -> str:
        """Return the name of the chassis of an agent.

        Raises:
            InvalidL3Agent: there is none.
        """
        for agent in self.agents.values():
            if agent["id"] == uuid:
                name: str = agent["configurations"]["chassis_name"]
                return name
        raise InvalidL3Agent(id=uuid)


class HostingAgents(Scheduling):
    """``/v2.0/routers/ID/l3-agents``."""

    async def list(self, call: Call) -> bytes:
        """Return the agents of the chassis that host a router's gateways, each with its priority.

        Raises:
            PolicyNotAuthorized: the policy forbids it.
            RouterNotFound: there is no such router.
        """
        _demand(call, "get_l3-agents")
        priorities = hosting(self.databases, self.router(call.parent))
        found = [agent | {"ha_chassis_priority": priorities[agent["id"]]} for agent in self.agents.values()
                 if agent["id"] in priorities and agent["agent_type"] == GATEWAY_AGENT]  # fmt: skip
        return orjson.dumps({"agents": found})


def _priority(body: Mapping[str, Any]) -> int | None:
    value = body.get("ha_chassis_priority")
    try:
        wanted = None if value is None else PRIORITY(value)
    except ValueError as error:
        raise HTTPBadRequest(reason=f"Invalid input for ha_chassis_priority. Reason: {error}.") from error
    if wanted is not None and not 0 <= wanted <= HIGHEST_PRIORITY:
        raise InvalidHAChassisPriority
    return wanted


def _free(priority: int, present: Mapping[str, int]) -> int:
    """Return a priority that no chassis has.

    Raises:
        NeutronError: one has it, or it is out of range.
    """
    if priority < 0:
        raise InvalidHAChassisPriority
    if priority in present.values():
        raise HAChassisPriorityAlreadyAssigned(ha_chassis_priority=priority)
    return priority


def _demand(call: Call, rule: str) -> None:
    if not call.may(rule):
        raise PolicyNotAuthorized(rule=f"rule:{rule}")
