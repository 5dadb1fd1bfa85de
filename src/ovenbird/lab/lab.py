"""A lab: one cloud on one machine, from nothing to instances that ping each other, and back to nothing.

A `Lab` object holds its layout alone; everything else is in the state file, so that any process can open the lab in a
run directory. Everything is recorded before it is made (see `state`), and the processes are kept running
(`supervisor`). Invariant: only what this lab has made is removed; a step that fails undoes what it did itself, and no
more.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from ovenbird.lab import process, supervisor
from ovenbird.lab.errors import (
    AlreadyRunningError,
    DuplicateInstanceError,
    LabError,
    LayoutError,
    NoSuchInstanceError,
    NotRunningError,
    WaitTimeoutError,
)
from ovenbird.lab.external_network import ExternalNetwork
from ovenbird.lab.health import answers, examine
from ovenbird.lab.hypervisor import HOST_PROGRAMS, Hypervisor, listening
from ovenbird.lab.instance import Instance
from ovenbird.lab.layout import DEFAULT_HOSTS, Layout
from ovenbird.lab.lock import locked
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.neutron import Neutron
from ovenbird.lab.process import ProcessSpec, wait_until
from ovenbird.lab.process_specs import LabProcesses
from ovenbird.lab.programs import CentralPrograms, all_in_one, controller, metadata
from ovenbird.lab.removal import check_names, remove_all, remove_metadata
from ovenbird.lab.requirements import check
from ovenbird.lab.rollback import undone_by
from ovenbird.lab.state import Kind, State
from ovenbird.lab.underlay import underlay

Progress = Callable[[str], None]


_PATIENCE = 30.0  # seconds for another command to come to its end


def _silent(_step: str) -> None:
    """Ignore progress."""


class Lab(LabProcesses):
    """The lab in one run directory; make one with `up`, or open a running one with `open`.

    Arguments:
        layout: its names, paths, addresses and ports.
    """

    __slots__ = ()

    # From nothing to a cloud.

    @classmethod
    def open(cls, rundir: Path) -> "Lab":
        """Open the lab in a run directory.

        Raises:
            NotRunningError: there is none.
        """
        layouts = State(rundir.absolute()).things(Kind.LAYOUT)
        if not layouts:
            raise NotRunningError(f"no cloud runs in {rundir}")
        return cls(Layout.from_json(layouts["lab"]))

    @classmethod
    def up(
        cls,
        rundir: Path,
        hosts: Sequence[str] = DEFAULT_HOSTS,
        *,
        gateways: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        prefix: str | None = None,
        api_port: int = 0,
        nb_port: int = 0,
        sb_port: int = 0,
        cloud_port: int = 0,
        central: CentralPrograms = all_in_one,
        controllers: Mapping[str, Sequence[str]] | None = None,
        external_ids: Mapping[str, Mapping[str, str]] | None = None,
        progress: Progress = _silent,
    ) -> "Lab":
        """Start a cloud, and return when it is ready for instances.

        Arguments:
            rundir: its run directory; leftovers of a crashed lab there are removed first.
            hosts: the hypervisors' names.
            gateways: the hosts with a cable to the outside world.
            settings: of the cloud, such as `metadata=true`, which starts the metadata service on the hosts.
            prefix: of the namespaces' names; derived from the run directory when None.
            api_port: of the API on 127.0.0.1; 0 picks a free one.
            nb_port: of Northbound on 127.0.0.1; 0 for none.
            sb_port: of Southbound, likewise.
            cloud_port: of Cloud, likewise.
            central: the central programs.
            controllers: by host, the program to run in place of our controller: `("ovn-controller",)`.
            external_ids: by host, more keys of its Open_vSwitch external_ids.
            progress: called before each step.

        Raises:
            RequirementError: a program or privilege is missing.
            LayoutError: a name, path or port is unusable.
            AlreadyRunningError: a cloud runs there, or starts.
            ClashError: a namespace of that name exists and belongs to another program; nothing was done.
            LabError: it did not start; nothing is left of it.
        """
        from ovenbird.model.settings import METADATA, SettingError, checked  # noqa: PLC0415 - `status` needs no schemas

        check()
        unknown = (set(controllers or ()) | set(external_ids or ())) - set(hosts)
        if unknown:
            raise LayoutError(f"no such host: {', '.join(sorted(unknown))}")
        ports = {"api_port": api_port, "nb_port": nb_port, "sb_port": sb_port, "cloud_port": cloud_port}
        try:
            given = checked(settings or {})
        except SettingError as error:
            raise LayoutError(str(error)) from error
        served = METADATA.among(given) or False
        lab = cls(Layout.make(rundir, hosts, gateways=gateways, metadata=served, prefix=prefix, **ports))
        with lab._alone():
            lab._claim()
            with undone_by(partial(remove_all, lab.layout, lab.state)), lab._telling():
                lab._start(central, controllers or {}, external_ids or {}, given, progress)
        return lab

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Add the last log lines to an error."""
        try:
            yield
        except LabError as error:
            if story := self.story():
                error.add_note(story)
            raise

    def _alone(self, wait: float = 0.0) -> AbstractContextManager[None]:
        """Exclude other commands that change the cloud.

        Arguments:
            wait: seconds for commands in progress.
        """
        return locked(self.layout.rundir, self._busy(), wait=wait)

    def _busy(self) -> AlreadyRunningError:
        return AlreadyRunningError(f"the cloud in {self.layout.rundir} is being started, changed or removed; try again")

    @contextmanager
    def _standing(self) -> Iterator[None]:
        """Prevent the removal of the cloud.

        Raises:
            NotRunningError: it has been removed.
        """
        with locked(self.layout.rundir, self._busy(), shared=True, wait=_PATIENCE):
            self.layout = self.open(self.layout.rundir).layout  # others may have added hosts
            yield

    def _claim(self) -> None:
        """Claim the run directory, and remove what a crashed lab has left there."""
        layout, where = self.layout, self.layout.rundir
        recorded = self.open(where).layout if self.state.exists else None
        if recorded and supervisor.active(where):
            raise AlreadyRunningError(f"a cloud is already running in {where}; `ovenbird down` ends it")
        if not recorded and any(where.iterdir()):
            raise LayoutError(f"{where} has files that no lab made; choose another run directory")
        check_names(layout, recorded=recorded)
        for left in (recorded or layout, layout):  # the one of which there is a record, and one that has lost it
            remove_all(left, self.state)
        busy = layout.busy_ports()
        if busy:
            raise LayoutError(f"TCP port {', '.join(map(str, busy))} of 127.0.0.1 is in use")
        self._record(layout)

    def _start(
        self,
        central: CentralPrograms,
        controllers: Mapping[str, Sequence[str]],
        external_ids: Mapping[str, Mapping[str, str]],
        settings: Mapping[str, str],
        progress: Progress,
    ) -> None:
        layout = self.layout
        supervisor.launch(layout.rundir)
        wait_until(lambda: supervisor.active(layout.rundir) is not None, "the supervisor")
        chosen = central(layout)
        if settings and not chosen.api:
            raise LayoutError("a cloud without an API has no settings")
        progress("starting the databases, the compilers and the API" if chosen.api else "starting the databases")
        chosen.prepare()
        for service in (*chosen.databases, *(("api",) if chosen.api else ())):
            self.state.add(Kind.SERVICE, service)
        self.keep(*chosen.processes)
        progress(f"making {len(layout.hosts)} hypervisors")
        underlay(layout).make(self.state)
        ExternalNetwork(layout).make(self.state)
        with ThreadPoolExecutor(max_workers=4) as pool:
            for future in [pool.submit(self._start_host, host, external_ids.get(host, {})) for host in layout.hosts]:
                future.result()
        progress("waiting for the databases")
        for database in chosen.databases:
            self.wait_for(partial(answers, layout, database), f"the {database} database")
        if settings:
            self.configure(settings)
        self.wait_for(self._has_southbound, "the compiler to fill Southbound")
        self.keep(*(spec for host in layout.hosts for spec in self._services(host, controllers.get(host, ()))))
        if chosen.api:
            progress("waiting for the API")
            with self.neutron() as neutron:
                self.wait_for(lambda: neutron.answers, f"the API at {layout.api}")
        progress("waiting for the hypervisors to reach each other")
        hypervisors = [self.hypervisor(host) for host in layout.hosts]
        self._join(*zip(hypervisors, hypervisors[1:] + hypervisors[:1], strict=True))
        progress("waiting for every part to answer as it should")
        self._settle()

    def _settle(self, *parts: str) -> None:
        """Wait until some parts have no problems; all parts by default.

        Raises:
            WaitTimeoutError: a problem remains.
        """
        deadline = time.monotonic() + _PATIENCE
        while problems := [p for p in examine(self).problems if not parts or p.part in parts]:
            if time.monotonic() > deadline:
                raise WaitTimeoutError(f"waited {_PATIENCE:g} s: {'; '.join(map(str, problems[:3]))}")
            time.sleep(0.05)

    def _join(self, *pairs: tuple[Hypervisor, Hypervisor]) -> None:
        """Wait until every hypervisor has its tunnels, and those of each pair reach each other."""
        kept = self.state.things(Kind.PROCESS)
        for one in map(self.hypervisor, self.layout.hosts):
            if f"{one.name}-controller" in kept:  # else it was killed
                self.wait_for(partial(self._has_tunnels, one), f"the controller of {one.name} to make its tunnels")
        for one, other in pairs:
            for source, target in ((one, other), (other, one)):
                what = f"{target.name} to answer {source.name}"
                wait_until(partial(source.reaches, target), what)

    # Hosts, while the cloud runs.

    def add_host(self, name: str, *, gateway: bool = False, program: Sequence[str] = ()) -> Hypervisor:
        """Add a hypervisor, and return when packets reach the first one.

        Arguments:
            name: its name.
            gateway: whether it reaches the outside world.
            program: the program to run in place of our controller.

        Raises:
            LayoutError: the name is unusable or taken.
        """
        check()
        with self._hosts_alone():
            before, layout = self.layout, self.layout.with_host(name, gateway=gateway)
            added = Hypervisor(layout, name)
            added.namespace.check()
            with undone_by(partial(self._remove_host, added), partial(self._record, before)):
                self._record(layout)
                self._start_host(name, {})
                self.keep(*self._services(name, program))
                self._join((added, self.hypervisor(self.layout.hosts[0])))
                self._settle(name)
            return added

    def _record(self, layout: Layout) -> None:
        self.layout = layout
        self.state.add(Kind.LAYOUT, "lab", layout.to_json())

    @contextmanager
    def _hosts_alone(self) -> Iterator[None]:
        """Exclude other commands that remove the cloud, or add, kill or start hosts."""
        with self._standing(), locked(self.layout.rundir / "hosts", self._busy(), wait=_PATIENCE):
            self.layout = self.open(self.layout.rundir).layout  # as the one before has left it
            yield

    def _remove_host(self, hypervisor: Hypervisor) -> None:
        """Remove a hypervisor that could not be added."""
        kept = self.state.things(Kind.PROCESS)
        self.drop(*(program for program in self._host_processes(hypervisor.name) if program in kept))
        remove_metadata(hypervisor)
        hypervisor.namespace.remove()
        self.state.remove(Kind.NAMESPACE, hypervisor.namespace.name)
        shutil.rmtree(hypervisor.rundir, ignore_errors=True)

    def kill_host(self, name: str) -> None:
        """Kill a hypervisor's switch, controller and database as a power cut would: at once, and nothing restarts."""
        with self._hosts_alone():
            mine = [p for p in self.state.things(Kind.PROCESS) if p in self._host_processes(name)]
            running = [found for program in mine if (found := self.process(program)) is not None]
            for program in mine:
                self.state.remove(Kind.PROCESS, program)
            process.kill(running)
            supervisor.notify(self.layout.rundir)

    def start_host(self, name: str, *, program: Sequence[str] = ()) -> None:
        """Start a killed hypervisor again, with its former configuration; return when it has no problems.

        Arguments:
            name: its name.
            program: the program to run in place of our controller.

        Raises:
            WaitTimeoutError: a problem remains.
        """
        with self._hosts_alone():
            hypervisor = self.hypervisor(name)
            self.keep(hypervisor.database_process())
            wait_until(lambda: listening(hypervisor.database), f"{name}'s database")
            for device in hypervisor.plugged - {instance.device for instance in self.list()}:
                hypervisor.unplug(device, wait=False)  # its instance was deleted meanwhile
            self.keep(hypervisor.switch_process())
            wait_until(lambda: hypervisor.switching, f"{name}'s switch", poll=0.03)
            self.keep(*self._services(name, program))
            self._settle(name)

    def _services(self, host: str, program: Sequence[str] = ()) -> tuple[ProcessSpec, ...]:
        """Return a hypervisor's processes besides its switch; `program` replaces our controller."""
        hypervisor = self.hypervisor(host)
        if self.layout.metadata:
            self.layout.boots.mkdir(exist_ok=True)
        steering = controller(hypervisor, tuple(program) or None)
        return (steering, metadata(hypervisor)) if self.layout.metadata else (steering,)

    def configure(self, settings: Mapping[str, str]) -> None:
        """Set settings of the cloud; others stay.

        Raises:
            LabError: a setting is unknown or invalid, or the database refuses; nothing is changed.
        """
        from ovenbird.lab.settings import configure  # noqa: PLC0415 - commands such as `status` need no replica

        configure(self.layout.remote("cloud"), settings)

    def _host_processes(self, name: str) -> tuple[str, ...]:
        host = self.hypervisor(name).name
        return tuple(f"{host}-{program}" for program in HOST_PROGRAMS)

    def _has_southbound(self) -> bool:
        """Return whether Southbound has its global row: ovn-controller crashes without one."""
        return answers(self.layout, "sb", rows=1)

    def _has_tunnels(self, hypervisor: Hypervisor) -> bool:
        return hypervisor.tunnels >= len(self.layout.hosts) - 1

    def _start_host(self, host: str, external_ids: Mapping[str, str]) -> None:
        hypervisor = self.hypervisor(host)
        hypervisor.make(self.state)
        underlay(self.layout).join(host)
        self.keep(hypervisor.database_process())
        wait_until(lambda: listening(hypervisor.database), f"{host}'s database")
        hypervisor.configure(external_ids)
        if host in self.layout.gateways:
            ExternalNetwork(self.layout).segment.join(host)
            hypervisor.open_outside()
        self.keep(hypervisor.switch_process())
        wait_until(lambda: hypervisor.switching, f"{host}'s switch", poll=0.03)

    # Back to nothing.

    def down(self) -> list[Namespace]:
        """Remove every process, namespace and file of the lab, whatever its state.

        Returns:
            the namespaces that stay: they have the lab's names and belong to another program now.

        Raises:
            AlreadyRunningError: another command is changing it.
        """
        with self._alone(wait=_PATIENCE):
            layout = (
                self.open(self.layout.rundir).layout if self.state.exists else self.layout
            )  # others may have added hosts
            left = remove_all(layout, self.state)
            self.layout.rundir.rmdir()
            return left

    # Instances.

    def neutron(self) -> Neutron:
        """Connect to the lab's API."""
        return Neutron(self.layout.api)

    def hypervisor(self, name: str) -> Hypervisor:
        """Return the hypervisor of a name.

        Raises:
            LayoutError: the lab has none of that name.
        """
        if name not in self.layout.hosts:
            raise LayoutError(f"no host is named {name}; there are {', '.join(self.layout.hosts)}")
        return Hypervisor(self.layout, name)

    def list(self) -> list[Instance]:
        """Return the instances, in the order they were made."""
        things = self.state.things(Kind.INSTANCE)
        return [Instance.from_json(self.layout, name, data) for name, data in things.items()]

    def instance(self, name: str) -> Instance:
        """Return the instance of a name.

        Raises:
            NoSuchInstanceError: there is none.
        """
        for instance in self.list():
            if instance.name == name:
                return instance
        raise NoSuchInstanceError(f"no instance is named {name}; see `ovenbird lab list`")

    def boot(
        self,
        name: str,
        *,
        network: str,
        host: str | None = None,
        security_groups: Sequence[str] = (),
        wait: float = 30.0,
        record: AbstractContextManager[object] | None = None,
        **port: Any,
    ) -> Instance:
        """Create a port through the API, plug an instance in, and return when it has its address and is ACTIVE.

        Arguments:
            name: of the instance, and of its port.
            network: name or id.
            host: the hypervisor; by default, the one with the fewest instances.
            security_groups: names or ids; none means the project's default group.
            wait: seconds until it must be ready.
            record: a context that is entered before the instance runs; it receives the exception if booting fails.
            port: more attributes of the port.

        Raises:
            ApiError: the API refuses the port.
            LabError: it did not become ready; nothing is left of it.
        """
        chosen = self.hypervisor(host or self._least_loaded()).name
        with self._reserved(name), record or nullcontext(), self.neutron() as neutron:
            found = neutron.find("network", network)
            dhcp = any(net["enable_dhcp"] for net in neutron.list("subnet", network_id=found["id"], ip_version="4"))
            if security_groups:
                port["security_groups"] = [neutron.find("security_group", group)["id"] for group in security_groups]
            owner = {"device_owner": "compute:lab", "device_id": f"lab-{name}", "binding:host_id": chosen}
            made = neutron.create("port", **{"name": name, "network_id": found["id"], **owner, **port})
            ident, mac = made["id"], made["mac_address"]
            instance = Instance(
                self.layout, name, host=chosen, port_id=ident, mac=mac, network=found["name"], dhcp=dhcp, owned=True
            )
            with undone_by(partial(self._detach, instance), partial(neutron.delete, "port", ident)):
                self._attach(instance, wait)
                active = f"the port of {name} to be ACTIVE"
                wait_until(lambda: neutron.show("port", ident)["status"] == "ACTIVE", active, timeout=wait, poll=0.03)
        return instance

    def _least_loaded(self) -> str:
        hosts = [instance.host for instance in self.list()]
        return min(self.layout.hosts, key=hosts.count)

    def attach(
        self, name: str, *, host: str, port_id: str, mac: str, dhcp: bool = True, wait: float = 30.0
    ) -> Instance:
        """Plug an instance in as an existing logical port, and return when it has its address.

        Arguments:
            name: of the instance.
            host: the hypervisor.
            port_id: the logical port's name in Northbound.
            mac: its hardware address.
            dhcp: whether to run a DHCP client.
            wait: seconds until it must have its address.

        Raises:
            LabError: it did not get an address; nothing is left of it.
        """
        instance = Instance(self.layout, name, host=self.hypervisor(host).name, port_id=port_id, mac=mac, dhcp=dhcp)
        with self._reserved(name), undone_by(partial(self._detach, instance)):
            self._attach(instance, wait)
        return instance

    @contextmanager
    def _reserved(self, name: str) -> Iterator[None]:
        """Reserve a name for an instance that is being created.

        Raises:
            DuplicateInstanceError: an instance has it already.
            LayoutError: the name is unusable.
            ClashError: its namespace exists and belongs to another program.
        """
        namespace = Namespace(self.layout.instance_namespace(name), owner=self.layout.owner)
        taken = DuplicateInstanceError(f"an instance named {name} exists already")
        with self._standing(), locked(self.layout.instance_rundir(name), taken, keep=True):
            if name in self.state.things(Kind.INSTANCE):
                raise taken
            namespace.check()
            yield

    def _attach(self, instance: Instance, wait: float) -> None:
        self.state.add(Kind.INSTANCE, instance.name, instance.to_json())
        self.state.add(Kind.NAMESPACE, instance.namespace.name)
        instance.make()
        if instance.dhcp:
            self.keep(instance.dhcp_process())
            lease = f"{instance.name} to get an address by DHCP"
            wait_until(lambda: instance.lease is not None, lease, timeout=wait, poll=0.02)

    def _detach(self, instance: Instance) -> None:
        inside = instance.namespace.name
        processes = self.state.things(Kind.PROCESS)
        self.drop(*(name for name, data in processes.items() if data["namespace"] == inside))
        if listening(instance.hypervisor.database):  # else it is unplugged when the hypervisor starts again
            instance.hypervisor.unplug(instance.device)
        instance.namespace.remove()
        self.state.remove(Kind.NAMESPACE, instance.namespace.name)
        shutil.rmtree(instance.rundir, ignore_errors=True)
        self.state.remove(Kind.INSTANCE, instance.name)

    def delete(self, name: str) -> None:
        """Remove an instance, and its port if `boot` made it.

        Raises:
            NoSuchInstanceError: there is none of that name.
        """
        instance = self.instance(name)
        busy = AlreadyRunningError(f"the instance {name} is being booted or deleted")
        with self._standing(), locked(instance.rundir, busy):
            if instance.owned:
                with self.neutron() as neutron:
                    neutron.delete("port", instance.port_id)
            self._detach(instance)

    def exec(self, name: str, *argv: str, timeout: float = 30.0) -> str:
        """Run a program in an instance to its end and return its output.

        Raises:
            NoSuchInstanceError: there is no such instance.
            CommandError: the program failed.
        """
        return self.instance(name).run(*argv, timeout=timeout)
