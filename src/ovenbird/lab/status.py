"""What a lab looks like now: its processes, databases, hosts and instances, for people and for programs."""

from dataclasses import dataclass
from typing import Any

from ovenbird.lab.errors import ApiError
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab

UNKNOWN = "UNKNOWN"
"""The status of an instance's port while the API does not answer, or for a port that the API has not made."""


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """An instance with what the API says of its port.

    Arguments:
        instance: which.
        address: its address by DHCP, None for none.
        status: of its port: "ACTIVE", "DOWN", or "UNKNOWN".
    """

    instance: Instance
    address: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Status:
    """A lab at one moment.

    Arguments:
        lab: which.
        processes: name to process id, None while it does not run.
        instances: in the order they were made.
    """

    lab: Lab
    processes: dict[str, int | None]
    instances: tuple[InstanceStatus, ...]

    @classmethod
    def of(cls, lab: Lab) -> "Status":
        """Look at a lab."""
        processes = {name: process.pid if process else None for name, process in lab.processes().items()}
        instances = lab.list()
        ports = _port_statuses(lab) if any(instance.owned for instance in instances) else {}
        found = (InstanceStatus(i, i.address, ports.get(i.port_id, UNKNOWN)) for i in instances)
        return cls(lab, processes, tuple(found))

    @property
    def healthy(self) -> bool:
        """Whether everything that should run does."""
        return None not in self.processes.values()

    def to_json(self) -> dict[str, Any]:
        """Return the status for programs: `nb`, `sb` and `cloud` as `ovn-nbctl --db` takes them."""
        plan = self.lab.plan
        return {
            "rundir": str(plan.rundir),
            "healthy": self.healthy,
            "api": plan.api,
            **{database: plan.remote(database) for database in ("nb", "sb", "cloud")},
            "tcp": {
                database: f"tcp:127.0.0.1:{plan.tcp_port(database)}"
                for database in ("nb", "sb", "cloud")
                if plan.tcp_port(database)
            },
            "hosts": [
                {
                    "name": host,
                    "namespace": plan.host_namespace(host),
                    "rundir": str(plan.host_rundir(host)),
                    "encap_ip": plan.encap_address(host),
                    "gateway": host in plan.gateways,
                }
                for host in plan.hosts
            ],
            "instances": [
                {
                    "name": entry.instance.name,
                    "host": entry.instance.host,
                    "network": entry.instance.network,
                    "namespace": entry.instance.namespace.name,
                    "port_id": entry.instance.port_id,
                    "mac": entry.instance.mac,
                    "address": entry.address,
                    "status": entry.status,
                }
                for entry in self.instances
            ],
            "processes": self.processes,
        }


def _port_statuses(lab: Lab) -> dict[str, str]:
    try:
        with lab.neutron() as neutron:
            return {port["id"]: port["status"] for port in neutron.list("port", device_owner="compute:lab")}
    except ApiError:
        return {}  # shown as UNKNOWN: a status must tell what it can while the API is down
