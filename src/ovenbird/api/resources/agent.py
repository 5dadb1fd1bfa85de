"""Agents: the programs on each chassis, with their liveness.

A chassis has a controller, and lists its other agents in ``external_ids`` of its Chassis_Private row. The keys are
Neutron's, so a chassis installed for Neutron with OVN shows the same agents here. Each chassis acknowledges an
increment of ``nb_cfg`` in Northbound when it has processed everything up to it (ovn-nb(5), NB_Global). An agent that
has not acknowledged a number within ``agent_down_time`` is down. Listing agents increments the number, so that a dead
chassis is detected even if nothing else changes.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api import attributes
from ovenbird.api.access.rules import ADMIN, each
from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.errors.other import AgentNotFound
from ovenbird.api.errors.request import HTTPBadRequest
from ovenbird.api.read_only_resource import PartlyWritable
from ovenbird.api.resource import LATEST
from ovenbird.api.values import boolean, optional, text
from ovenbird.dataclass import dataclass
from ovenbird.model import settings
from ovenbird.model.chassis import (
    BRIDGE_MAPPINGS,
    answering,
    answering_row,
    availability_zones,
    chassis_setting,
    offers_gateway,
)
from ovenbird.model.nb import NBGlobal
from ovenbird.model.sb import Chassis, ChassisPrivate, SBGlobal
from ovenbird.net.numbers import integer
from ovenbird.ovsdb.errors import Disconnected, TimedOut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovenbird.api.databases import Databases
    from ovenbird.ovsdb.transaction import Client, Transaction

log = logging.getLogger(__name__)

CONTROLLER, GATEWAY_AGENT = "OVN Controller agent", "OVN Controller Gateway agent"
DESCRIPTION = "neutron:description"
"""The key in external_ids of a controller's description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """A kind of agent beside the controller of its chassis.

    Arguments:
        agent_type: its type, as the API shows it.
        binary: the program.
        key: prefix of its keys in ``external_ids``.
        description: the key of its description.
    """

    agent_type: str
    binary: str
    key: str
    description: str


COMPANIONS = (
    Companion(
        agent_type="OVN Metadata agent",
        binary="neutron-ovn-metadata-agent",
        key="neutron:ovn-metadata",
        description="neutron:description-metadata",
    ),
    Companion(
        agent_type="OVN Neutron agent",
        binary="neutron-ovn-agent",
        key="neutron:ovn-neutron-agent",
        description="neutron:description-neutron-agent",
    ),
)


class Heartbeat:
    """The values of `nb_cfg` that agents must acknowledge, with their times, as far as they affect a result."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    def note(self, number: int, *, when: float, patience: float, now: float) -> None:
        """Record a value of `nb_cfg` and its time; drop the values that no longer affect a result.

        Arguments:
            number: the value; 0 if `nb_cfg` was never incremented.
            when: its time in Northbound, in seconds since 1970; until northd writes it, that of the previous value.
            patience: seconds that an agent has to acknowledge it.
            now: the time, in seconds since 1970.
        """
        if not number:
            return
        if not self.asked or number > self.asked[-1][0]:
            self.asked.append((number, when if not self.asked or when > self.asked[-1][1] else now))
        elif number < self.asked[-1][0]:  # another Northbound
            self.asked = [(number, when)]
        overdue = sum(now - when >= patience for _, when in self.asked)
        del self.asked[: max(0, overdue - 1)]

    def due(self, *, patience: float, now: float) -> bool:
        """Return whether it is time to increment `nb_cfg`."""
        return not self.asked or now - self.asked[-1][1] >= patience / 2

    def answers(self, number: int, *, patience: float, now: float) -> bool:
        """Return whether an agent that has acknowledged a number has acknowledged all that are overdue.

        Arguments:
            number: the `nb_cfg` that an agent has acknowledged.
            patience: seconds that an agent has to acknowledge a number (`agent_down_time`).
            now: the time, in seconds since 1970.
        """
        return all(number >= wanted for wanted, when in self.asked if now - when >= patience)


class Agents(PartlyWritable):
    """``/v2.0/agents``."""

    member = "agent"
    collection = "agents"
    extensions: ClassVar[Mapping[str, str]] = {
        "agent": "agent",
    }
    rules: ClassVar[Mapping[str, str]] = {
        **each(ADMIN, "create_agent", "get_agent", "update_agent", "delete_agent"),
    }
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "id": shown(),
        "agent_type": shown(),
        "binary": shown(),
        "topic": shown(),
        "host": shown(),
        "availability_zone": shown(),
        "alive": shown(),
        "heartbeat_timestamp": shown(filterable=False),
        "configurations": shown(filterable=False),
        "admin_state_up": Attribute(boolean, post=False),
        "description": Attribute(optional(text()), post=False),
    }

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.heartbeat = Heartbeat()

    def not_found(self, uuid: str) -> Exception:
        """Return the error for an unknown id."""
        return AgentNotFound(id=uuid)

    def values(self) -> list[dict[str, Any]]:
        """Return every agent."""
        if self.databases.southbound is None:
            return []
        now = self._note()
        rows = self.databases.southbound.store.table(answering(self.databases.southbound))
        return [agent for private in rows for agent in self._shown(private, now)]

    def _shown(self, private: ChassisPrivate | Chassis, now: float) -> Iterable[dict[str, Any]]:
        """Return the agents of one chassis; none if its row is invalid, so that other chassis are still shown."""
        try:
            return list(self._of_chassis(private, now))
        except Exception:
            log.exception("agents of chassis %s cannot be shown", private.name)
            return ()

    async def list(self, query_string: bytes, base: str) -> bytes:
        """Return the agents that a query selects."""
        await self._ask()
        return await super().list(query_string, base)

    async def _ask(self) -> None:
        """Increment `nb_cfg` if it is due; later lists show which agents acknowledge it."""
        northbound = self.databases.northbound
        if northbound is None or not northbound.connected:
            return
        now = self._note()
        rows = northbound.store.table(NBGlobal).all()
        if not rows or not self.heartbeat.due(patience=self._patience(), now=now):
            return
        transaction = northbound.transaction()
        number = rows[0].nb_cfg
        transaction.wait(rows[0], {"nb_cfg": number})
        transaction.update(rows[0], {"nb_cfg": number + 1})
        try:
            await northbound.commit(transaction)
        except (TimedOut, Disconnected):  # another API process has incremented it, or Northbound is unreachable
            return
        self._note()

    async def update(self, uuid: str, body: Any) -> bytes:
        """Change an agent's description; its `admin_state_up` cannot be changed."""
        agent = self.find(uuid)
        values = attributes.parse(self.attributes, attributes.member_of(body, self.member), creating=False)
        if values.get("admin_state_up") is False:
            raise HTTPBadRequest(reason="Bad agent request: OVN agent status cannot be updated.")
        if "description" in values:
            southbound, private = self._row(agent)
            key = next((c.description for c in COMPANIONS if c.agent_type == agent["agent_type"]), DESCRIPTION)
            ids = {**private.external_ids, key: values["description"] or ""}
            transaction = southbound.transaction()
            transaction.update(private, {"external_ids": ids})
            await southbound.commit(transaction, durable=self.databases.durable)
        return self.show(uuid)

    async def delete(self, uuid: str) -> None:
        """Remove a dead agent, with its chassis if it is the controller; one that is alive would register again."""
        agent = self.find(uuid)
        if agent["alive"]:
            raise HTTPBadRequest(reason=f"Bad agent request: agent {uuid} is alive; stop it first.")
        southbound, private = self._row(agent)
        transaction = southbound.transaction()
        if agent["agent_type"] in (CONTROLLER, GATEWAY_AGENT):
            _forget_chassis(transaction, private)
        else:
            key = next(c.key for c in COMPANIONS if c.agent_type == agent["agent_type"])
            ids = {name: value for name, value in private.external_ids.items() if not name.startswith(f"{key}-")}
            transaction.update(private, {"external_ids": ids})
        await southbound.commit(transaction, durable=self.databases.durable)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _row(self, agent: Mapping[str, Any]) -> tuple[Client, ChassisPrivate | Chassis]:
        """Return the row that an agent is shown from, and the client of its database."""
        southbound = self.databases.southbound
        name = agent["configurations"]["chassis_name"]
        found = answering_row(southbound, name) if southbound is not None else None
        if southbound is None or found is None:
            raise AgentNotFound(id=agent["id"])
        return southbound, found

    def _patience(self) -> float:
        return float(settings.AGENT_DOWN_TIME.of(self.databases.store))

    def _note(self) -> float:
        """Record the current `nb_cfg`, and return the time."""
        now = time.time()
        northbound, southbound = self.databases.northbound, self.databases.southbound
        if northbound is not None and southbound is not None:
            for head in southbound.store.table(SBGlobal):
                when = now
                for row in northbound.store.table(NBGlobal):
                    if row.nb_cfg == head.nb_cfg and row.nb_cfg_timestamp:
                        when = min(now, row.nb_cfg_timestamp / 1000)
                self.heartbeat.note(head.nb_cfg, when=when, patience=self._patience(), now=now)
        return now

    def _of_chassis(self, private: ChassisPrivate | Chassis, now: float) -> Iterator[dict[str, Any]]:
        """Yield the agents of one chassis; without its controller the others count as dead."""
        chassis: Chassis | None = private if isinstance(private, Chassis) else private.chassis
        ids, patience = private.external_ids, self._patience()
        alive = chassis is not None and self.heartbeat.answers(private.nb_cfg, patience=patience, now=now)
        kind = GATEWAY_AGENT if chassis is not None and offers_gateway(chassis) else CONTROLLER
        common = {
            "host": chassis.hostname if chassis is not None else private.name,
            "heartbeat_timestamp": _timestamp(_acknowledged(private, now if alive else 0)),
            "availability_zone": ", ".join(sorted(availability_zones(chassis))) if chassis is not None else "",
            "topic": "n/a",
            "configurations": {
                "chassis_name": private.name,
                "bridge-mappings": chassis_setting(chassis, BRIDGE_MAPPINGS) if chassis is not None else "",
            },
            "admin_state_up": True,
        }
        controller = {"id": private.name, "agent_type": kind, "binary": "ovn-controller", "alive": alive}
        yield controller | common | {"description": ids.get(DESCRIPTION, "")}
        for one in COMPANIONS:
            uuid = ids.get(f"{one.key}-id")
            if uuid is None:
                continue
            copied = integer(ids.get(f"{one.key}-sb-cfg", "0"))
            there = alive and copied is not None and self.heartbeat.answers(copied, patience=patience, now=now)
            own = {"id": uuid, "agent_type": one.agent_type, "binary": one.binary, "alive": there}
            yield own | common | {"description": ids.get(one.description, "")}


def _forget_chassis(transaction: Transaction, private: ChassisPrivate | Chassis) -> None:
    chassis: Chassis | None = None if isinstance(private, Chassis) else private.chassis
    if chassis is not None:
        transaction.delete(chassis)
    transaction.delete(private)


def _acknowledged(private: ChassisPrivate | Chassis, otherwise: float) -> int:
    """Return when a chassis last acknowledged a change, in milliseconds; `otherwise` for rows of Chassis."""
    return int(otherwise * 1000) if isinstance(private, Chassis) else private.nb_cfg_timestamp


def _timestamp(milliseconds: int) -> str:
    """Return a time in UTC, in the format of Neutron's agents."""
    seconds = min(max(milliseconds / 1000, 0), LATEST)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
