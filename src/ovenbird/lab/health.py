"""The health of a lab: every part is checked for what it is there to do, all at the same time and within bounded time.

A fault is reported once, at its cause: what only follows from a reported fault (a controller that cannot answer because
its switch is dead) is left out. Databases are asked to run a transaction, switches whether they run and whether packets
pass between them, the API for its ports; and Northbound's `nb_cfg` is incremented (ovn-nb(5), as `ovn-nbctl --wait=hv
sync` does) for northd, the controllers and the metadata services to acknowledge.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any, Self

from ovenbird.dataclass import KW_ONLY, dataclass, field
from ovenbird.lab import rpc
from ovenbird.lab.errors import ApiError, CommandError, LabError, NoAnswerError
from ovenbird.lab.external_network import OUTSIDE_LINK, ExternalNetwork
from ovenbird.lab.hypervisor import HOST_PROGRAMS, Hypervisor
from ovenbird.lab.instance import INTERFACE, Instance
from ovenbird.lab.layout import Layout
from ovenbird.lab.namespace import Namespace, maker_of
from ovenbird.lab.neutron import Neutron
from ovenbird.lab.process import Process
from ovenbird.lab.process_specs import LabProcesses
from ovenbird.lab.rpc import select, transact
from ovenbird.lab.state import Kind
from ovenbird.lab.underlay import UPLINK, underlay

DATABASES = {
    "nb": ("OVN_Northbound", "NB_Global"),
    "sb": ("OVN_Southbound", "SB_Global"),
    "cloud": ("Cloud", "Cloud_Global"),
}
"""The central databases: short name to its own and to that of the table with one row."""

_AT_ONCE = 128
"""How many requests run at once: they mostly wait, and those that hang must not delay others."""
_METADATA = "neutron:ovn-metadata-sb-cfg"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a lab.

    Arguments:
        part: the part of the lab: "hv1", "central", "the nb database".
        what: what is wrong with it.
        causes: the parts whose problems explain this one.
    """

    part: str
    _: KW_ONLY
    what: str
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return it as a line."""
        return f"{self.part}: {self.what}"


@dataclass(frozen=True, slots=True)
class Health:
    """The result of an examination.

    Arguments:
        problems: the problems; a healthy lab has none.
        ports: id to status of the instances' ports, as far as the API has answered.
    """

    problems: tuple[Problem, ...]
    ports: Mapping[str, str]


_INTERFACE = ("name", "ofport", "error", "options", "bfd_status")


@dataclass(frozen=True, slots=True)
class _Interface:
    """The state of one of a switch's ports (ovs-vswitchd.conf.db(5), table Interface).

    Arguments:
        name: of the device.
        port: its OpenFlow number; 0 or less for none.
        error: why it has none, or an empty text.
        remote: a tunnel's remote address, empty for others.
        bfd: "up" or "down" with BFD, otherwise empty.
    """

    name: str
    port: int
    _: KW_ONLY
    error: str
    remote: str
    bfd: str

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Parse a row in the database's notation: an absent value is an empty set."""
        port, error = (value if not isinstance(value := row[column], list) else None for column in ("ofport", "error"))
        options, bfd = dict(row["options"][1]), dict(row["bfd_status"][1])
        remote, state = options.get("remote_ip", ""), bfd.get("state", "")
        return cls(row["name"], port or 0, error=error or "", remote=remote, bfd=state)


def examine(lab_processes: LabProcesses, patience: float = 3.0) -> Health:
    """Examine a lab.

    Arguments:
        lab_processes: the lab.
        patience: seconds for each part to answer; all are examined at once.
    """
    return _Examination(lab_processes, patience).run()


def answers(layout: Layout, name: str, rows: int = 0) -> bool:
    """Return whether a central database executes transactions.

    Arguments:
        layout: of the lab.
        name: "nb", "sb" or "cloud".
        rows: how many rows the table must have that has one at the most.
    """
    database, table = DATABASES[name]
    try:
        return len(transact(layout.socket(name), database, select(table, "_uuid"))[0]["rows"]) >= rows
    except NoAnswerError:
        return False


def port_statuses(lab_processes: LabProcesses, patience: float = 3.0) -> dict[str, str]:
    """Return id and status of the instances' ports.

    Raises:
        ApiError: the API does not answer.
    """
    with Neutron(lab_processes.layout.api, patience) as neutron:
        return {port["id"]: port["status"] for port in neutron.list("port", device_owner="compute:lab")}


def _reaches(said: str | None, number: float) -> bool:
    return said is not None and said.isdecimal() and int(said) >= number


@dataclass(slots=True)
class _Examination:
    """One examination of a lab."""

    lab_processes: LabProcesses
    patience: float
    problems: list[Problem] = field(default_factory=list)
    ports: dict[str, str] | None = None
    processes: dict[str, Process | None] = field(init=False)
    instances: list[Instance] = field(init=False)
    hosts: list[Hypervisor] = field(init=False)
    interfaces: dict[str, list[_Interface]] = field(default_factory=dict)
    addresses: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lab_processes = self.lab_processes
        self.processes = lab_processes.processes()
        things = lab_processes.state.things(Kind.INSTANCE)
        self.instances = [Instance.from_json(lab_processes.layout, name, data) for name, data in things.items()]
        self.hosts = [Hypervisor(lab_processes.layout, host) for host in lab_processes.layout.hosts]

    def run(self) -> Health:
        """Examine all parts except those that do not run."""
        self._look_at_processes()
        self._together(self._namespaces())
        self._together(self._questions())
        for host in self.interfaces:
            self._judge_switch(host)
        for instance in self.instances:
            self._judge_instance(instance)
        known = {problem.part for problem in self.problems if not problem.causes}
        own = [problem for problem in self.problems if known.isdisjoint(problem.causes)]
        return Health(tuple(dict.fromkeys(own)), self.ports or {})

    def _together(self, questions: Iterable[Callable[[], None]]) -> None:
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            for asked in [pool.submit(question) for question in questions]:
                asked.result()

    def _say(self, part: str, what: str, *causes: str) -> None:
        self.problems.append(Problem(part, what=what, causes=causes))

    # Processes and namespaces.

    def _look_at_processes(self) -> None:
        for name, process in self.processes.items():
            part, program = self._part(name)
            if process is None:
                self._say(part, f"{program}does not run")
            elif process.stopped:
                self._say(part, f"{program}is stopped by a signal (`kill -CONT {process.pid}` lets it go on)")
        for host in self.hosts:
            if f"{host.name}-ovs-vswitchd" not in self.processes:
                self._say(host.name, f"was killed (`ovenbird lab host start {host.name}` starts it again)")

    def _part(self, process: str) -> tuple[str, str]:
        """Return the part that a process belongs to, and its role there."""
        for host in self.hosts:
            for program in HOST_PROGRAMS:
                if process == f"{host.name}-{program}":
                    return host.name, f"{program} "
        for instance in self.instances:
            if process == instance.process_name:
                return instance.name, "its DHCP client "
        return process, ""

    def _runs(self, *processes: str) -> bool:
        """Return whether all of some processes are specified, running and not stopped."""
        found = map(self.processes.get, processes)
        return all(process is not None and not process.stopped for process in found)

    def _namespaces(self) -> Iterator[Callable[[], None]]:
        layout = self.lab_processes.layout
        segments = {"the underlay": underlay(layout), "the outside world": ExternalNetwork(layout).segment}
        for part, segment in segments.items():
            yield partial(self._look_into, part, segment.namespace, segment.bridge, carrier=False)
        for host in self.hosts:
            cables = (UPLINK, OUTSIDE_LINK) if host.name in layout.gateways else (UPLINK,)
            yield partial(self._look_into, host.name, host.namespace, *cables)
        for instance in self.instances:
            yield partial(self._look_into, instance.name, instance.namespace, INTERFACE)

    def _look_into(self, part: str, space: Namespace, *devices: str, carrier: bool = True) -> None:
        """Check that a namespace exists, is the lab's and has its links; a bridge without cables has no carrier."""
        if not space.whole:
            self._say(part, f"its namespace {space.name} is gone")
            return
        try:
            links = space.links()
        except LabError as error:
            self._say(part, f"its namespace {space.name} cannot be looked into: {error}")
            return
        if maker_of(links) != space.owner:
            self._say(part, f"its namespace {space.name} {space.whose()}")
            return
        for device in devices:
            if device not in links:
                self._say(part, f"its link {device} is gone")
            elif "UP" not in links[device]["flags"]:
                self._say(part, f"its link {device} is down")
            elif carrier and "LOWER_UP" not in links[device]["flags"]:
                self._say(part, f"its link {device} has no carrier")

    # Questions to programs.

    def _questions(self) -> Iterator[Callable[[], None]]:
        services = self.lab_processes.state.things(Kind.SERVICE)
        for name in services:
            by = self._server(name)
            if not self._runs(by):
                continue
            yield self._ask_api if name == "api" else partial(self._ask_database, name)
        standing = [host for host in self.hosts if self._runs(f"{host.name}-ovs-vswitchd", f"{host.name}-ovsdb-server")]
        for host in standing:
            yield partial(self._ask_host, host)
        broken = {problem.part for problem in self.problems}
        linked = [host for host in standing if host.name not in broken]
        if len(linked) > 1 and "the underlay" not in broken:
            for one, other in zip(linked, linked[1:] + linked[:1], strict=True):
                yield partial(self._ask_underlay, one, other)
        central = ("nb", "sb", "northd")
        if services.keys() >= {"nb", "sb"} and self._runs(*map(self._server, central)):
            yield self._ask_for_acknowledgement

    def _server(self, service: str) -> str:
        """Return the process that provides a service: "nb", "sb", "cloud", "northd" or "api"."""
        own = service if service in {"api", "northd"} else f"db-{service}"
        return own if own in self.processes else "central"

    def _ask_database(self, name: str) -> None:
        try:
            self._transact(name, select(DATABASES[name][1], "_uuid"))
        except NoAnswerError as error:
            self._say(f"the {name} database", str(error))

    def _ask_api(self) -> None:
        try:
            self.ports = port_statuses(self.lab_processes, self.patience)
        except ApiError as error:
            if error.status == 0 or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._say("the API", str(error))

    def _ask_host(self, host: Hypervisor) -> None:
        switch = self.processes[f"{host.name}-ovs-vswitchd"]
        control = host.rundir / f"ovs-vswitchd.{switch.pid if switch else 0}.ctl"
        rows = (select("Interface", *_INTERFACE), select("Open_vSwitch", "external_ids"))
        try:
            interfaces, (own,) = (
                result["rows"] for result in transact(host.database, "Open_vSwitch", *rows, timeout=self.patience)
            )
        except NoAnswerError as error:
            self._say(host.name, f"ovsdb-server {error}")
            return
        try:
            rpc.ask(control, "version", timeout=self.patience)
        except NoAnswerError as error:
            self._say(host.name, f"ovs-vswitchd {error}")
        self.interfaces[host.name] = [_Interface.of(row) for row in interfaces]
        self.addresses[host.name] = dict(own["external_ids"][1]).get("ovn-encap-ip", "").split(",")

    def _ask_underlay(self, one: Hypervisor, other: Hypervisor) -> None:
        line = ("ping", "-n", "-c", "1", "-i", "0.2", "-w", f"{math.ceil(self.patience)}", other.encap_address)
        try:
            one.namespace.run(*line, timeout=self.patience + 5)
        except CommandError:
            what = f"{other.name} does not answer at {other.encap_address} on the underlay"
            self._say(one.name, what, one.name, other.name)

    def _ask_for_acknowledgement(self) -> None:
        """Increment Northbound's `nb_cfg`, and wait until northd, controllers and metadata services acknowledge it."""
        deadline = time.monotonic() + self.patience
        raised = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}
        asked = "nb"
        try:
            rows = self._transact("nb", raised, select("NB_Global", "nb_cfg"))[1]["rows"]
            asked = "sb"
            while late := self._late(rows):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.01)
        except NoAnswerError as error:
            self._say(f"the {asked} database", str(error))
        else:
            self.problems += late

    def _late(self, northbound: list[dict[str, Any]]) -> list[Problem]:
        """Return a problem for each part that has not acknowledged `nb_cfg`."""
        late = f"within {self.patience:g} s"
        chassis = select("Chassis_Private", "name", "nb_cfg", "external_ids")
        southbound, private = (
            result["rows"] for result in self._transact("sb", select("SB_Global", "nb_cfg"), chassis)
        )
        number = max((row["nb_cfg"] for row in northbound), default=math.inf)
        if max((row["nb_cfg"] for row in southbound), default=-1) < number:
            what = f"did not bring what is in Northbound to Southbound {late}"
            return [Problem("northd", what=what, causes=("the nb database", "the sb database"))]
        found = {row["name"]: row for row in private}
        problems = []
        for host in self.hosts:
            name, row = host.name, found.get(host.name)
            if not self._runs(*(f"{name}-{program}" for program in ("controller", "ovs-vswitchd", "ovsdb-server"))):
                continue
            if row is None:
                problems.append(Problem(name, what="controller has not registered in Southbound", causes=(name,)))
            elif row["nb_cfg"] < number:
                problems.append(
                    Problem(name, what=f"controller did not bring Southbound to the switch {late}", causes=(name,))
                )
            elif self._runs(f"{name}-metadata") and not _reaches(dict(row["external_ids"][1]).get(_METADATA), number):
                problems.append(Problem(name, what=f"metadata did not follow Southbound {late}", causes=(name,)))
        return problems

    def _transact(self, name: str, *operations: dict[str, Any]) -> list[dict[str, Any]]:
        socket, database = self.lab_processes.layout.socket(name), DATABASES[name][0]
        return transact(socket, database, *operations, timeout=self.patience)

    # Switches.

    def _judge_switch(self, host: str) -> None:
        """Check the ports of a host's switch."""
        for found in self.interfaces[host]:
            if found.error:
                owner = next((i.name for i in self.instances if i.device == found.name), host)
                self._say(host, f"its switch has no port {found.name}: {found.error}", owner)
        controlled = [name for name in self.addresses if f"{name}-controller" in self.processes]
        for other in controlled if host in controlled else ():
            if other == host:
                continue
            tunnels = [found for found in self.interfaces[host] if found.remote in self.addresses[other]]
            if not any(found.port > 0 for found in tunnels):
                self._say(host, f"has no tunnel to {other}")
            for found in tunnels:
                if found.bfd == "down":
                    self._say(host, f"its tunnel to {other} is down, says BFD", host, other, "the underlay")
        for instance in self.instances:
            if instance.host == host and all(found.name != instance.device for found in self.interfaces[host]):
                self._say(instance.name, f"is not plugged into the switch of {host}")

    def _judge_instance(self, instance: Instance) -> None:
        if instance.dhcp and instance.address is None:
            self._say(instance.name, "has no address")
        if instance.owned and self.ports is not None and (status := self.ports.get(instance.port_id)) != "ACTIVE":
            what = f"its port is {status}" if status else f"its port {instance.port_id} does not exist"
            self._say(instance.name, what, *((instance.name, instance.host) if status else ()))
