"""The status of a lab: its processes, databases, hosts and instances, for people and for programs."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ovenbird.dataclass import KW_ONLY, dataclass
from ovenbird.lab.errors import ApiError
from ovenbird.lab.health import examine, port_statuses
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
    _: KW_ONLY
    address: str | None
    status: str


@dataclass(frozen=True, slots=True)
class Status:
    """A lab at one moment.

    Arguments:
        lab: which.
        processes: name to process id, None while it does not run.
        stopped: the names of those that a signal has stopped.
        instances: in the order they were made.
        problems: what is not as it should be, a line each; None if they were not checked.
    """

    lab: Lab
    processes: dict[str, int | None]
    stopped: frozenset[str]
    instances: tuple[InstanceStatus, ...]
    problems: tuple[str, ...] | None = None

    @classmethod
    def of(cls, lab: Lab) -> "Status":
        """Look at a lab's records, its processes, and what the API says of its instances."""
        ports: Mapping[str, str] = {}
        if any(instance.owned for instance in lab.list()):
            with suppress(ApiError):  # shown as UNKNOWN: the rest of the status is shown while the API is down
                ports = port_statuses(lab)
        return cls._with(lab, ports)

    @classmethod
    def examined(cls, lab: Lab) -> "Status":
        """Look at a lab, and ask every part of it whether it is as it should be."""
        health = examine(lab)
        return cls._with(lab, health.ports, tuple(map(str, health.problems)))

    @classmethod
    def _with(cls, lab: Lab, ports: Mapping[str, str], problems: tuple[str, ...] | None = None) -> "Status":
        running = lab.processes()
        processes = {name: process.pid if process else None for name, process in running.items()}
        stopped = frozenset(name for name, process in running.items() if process and process.stopped)
        found = (InstanceStatus(i, address=i.address, status=ports.get(i.port_id, UNKNOWN)) for i in lab.list())
        return cls(lab, processes, stopped, tuple(found), problems)

    @property
    def healthy(self) -> bool:
        """Whether every part was asked, and is as it should be."""
        return self.problems == ()

    def to_json(self) -> dict[str, Any]:
        """Return the status for programs: `nb`, `sb` and `cloud` as `ovn-nbctl --db` takes them."""
        layout = self.lab.layout
        return {
            "rundir": str(layout.rundir),
            "healthy": self.healthy,
            "problems": list(self.problems or ()),
            "api": layout.api,
            **{database: layout.remote(database) for database in ("nb", "sb", "cloud")},
            "tcp": {
                database: f"tcp:127.0.0.1:{layout.tcp_port(database)}"
                for database in ("nb", "sb", "cloud")
                if layout.tcp_port(database)
            },
            "hosts": [
                {
                    "name": host,
                    "namespace": layout.host_namespace(host),
                    "rundir": str(layout.host_rundir(host)),
                    "encap_ip": layout.encap_address(host),
                    "gateway": host in layout.gateways,
                }
                for host in layout.hosts
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
