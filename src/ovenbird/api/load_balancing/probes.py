"""The ports from whose addresses members are probed, one in each subnet that has such members.

ovn-octavia-provider makes the same ports (`ovn-lb-hm-SUBNET`). One is there as long as a member refers to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.api.ports.service_ports import ServicePorts
from ovenbird.model.load_balancing import PROBE_OWNER, HealthMonitorPort, Member

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.api.databases import Databases, Draft
    from ovenbird.engine.rows import UUID
    from ovenbird.model.cloud import Subnet

PROBE_PORT = "ovn-lb-hm-"
"""Of the ports' names, before the subnet's id."""


class Probes:
    """Creates and deletes these ports.

    Arguments:
        databases: contain them.
    """

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.ports = ServicePorts(databases)

    def port(self, draft: Draft, subnet: Subnet) -> UUID:
        """Return the port for a subnet, which is written if it is not there yet.

        Raises:
            NeutronError: the subnet has no free address.
        """
        key = (HealthMonitorPort, subnet.uuid)
        found: UUID | None = draft.made.get(key)
        if found is not None:
            return found
        stored: HealthMonitorPort | None = subnet.referrer(HealthMonitorPort.subnet)
        if stored is not None:
            uuid = stored.uuid
        else:
            name = f"{PROBE_PORT}{subnet.uuid}"
            wanted = [{"subnet_id": subnet.uuid}]
            port, _ = self.ports.create(
                draft, subnet.network, owner=PROBE_OWNER, device=name, project=subnet.project_id, wanted=wanted,
                name=name,
            )  # fmt: skip
            uuid = draft.transaction.insert(HealthMonitorPort, {"subnet": subnet.uuid, "port": port})
        draft.made[key] = uuid
        return uuid

    def begin(self, draft: Draft, member: Member) -> None:
        """Write that a stored member is probed, if its subnet is known."""
        subnet = member.subnet
        if subnet is not None:
            draft.transaction.update(member, {"probed_from": self.port(draft, subnet)})

    def end(self, draft: Draft, members: Iterable[Member], *, deleted: bool = False) -> None:
        """Write that stored members are not probed any more, and the removal of ports that only they used.

        Arguments:
            draft: the transaction.
            members: the members.
            deleted: whether they are deleted themselves.
        """
        leaving = draft.made.setdefault((HealthMonitorPort, "leaving"), set())
        probed = [member for member in members if Member.probed_from.raw(member) is not None]
        leaving.update(member.uuid for member in probed)
        for member in probed if not deleted else ():
            draft.transaction.update(member, {"probed_from": None})
        for port in {one for member in probed if (one := member.probed_from) is not None}:
            key = (HealthMonitorPort, HealthMonitorPort.subnet.raw(port))
            if key in draft.made or any(one.uuid not in leaving for one in port.referrers(Member.probed_from)):
                continue
            draft.made[HealthMonitorPort, port.uuid] = None
            draft.transaction.delete(port)
            self.ports.delete(draft, port.port)
