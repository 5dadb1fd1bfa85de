"""The output of commands for people, with rich. It only formats what it is given."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from ovenbird.cli.tables import Paragraphs, Sheet
from ovenbird.lab.demo_topology import NETWORK, SECURITY_GROUP, Demonstration, DemoTopology
from ovenbird.lab.layout import DEFAULT_RUNDIR
from ovenbird.lab.status import Status


def _state(word: str) -> Text:
    return Text(word, style="green" if word in {"ACTIVE", "running"} else "bold red")


def _process(status: Status, name: str, absent: str, word: str = "") -> Text:
    pid = status.processes.get(name)
    if not pid:
        return _state(absent)
    return Text(f"{word}{pid} stopped", style="bold red") if name in status.stopped else Text(f"{word}{pid}")


def cloud(status: Status) -> RenderableType:
    """Show the processes, their hosts and the instances, and the problems if they were checked."""
    shown = (_endpoints(status), hosts(status), instances(status))
    return Group(*shown) if status.problems is None else Group(*shown, health(status.problems))


def health(problems: Sequence[str]) -> RenderableType:
    """Show each problem in a line, or that there are none."""
    if not problems:
        return Text("No problems: all parts answer.", style="green")
    return Paragraphs(Text("Problems:", style="bold red"), problems)


def _endpoints(status: Status) -> Sheet:
    layout = status.lab.layout
    table = Sheet("The cloud", "what", "where")
    table.add_row("API", layout.api)
    for database, name in (("cloud", "Cloud"), ("nb", "Northbound"), ("sb", "Southbound")):
        port = layout.tcp_port(database)
        table.add_row(f"{name} database", layout.remote(database) + (f", tcp:127.0.0.1:{port}" if port else ""))
    of_hosts = tuple(f"{host}-" for host in layout.hosts)
    of_instances = tuple(entry.instance.process_name for entry in status.instances)
    for process in status.processes:
        if process not in of_instances and not process.startswith(of_hosts):
            table.add_row(process, _process(status, process, "not running", "pid "))
    return table


def hosts(status: Status) -> Sheet:
    """Show the hypervisors and the process ids of their programs."""
    layout = status.lab.layout
    programs = {"database": "ovsdb-server", "switch": "ovs-vswitchd", "controller": "controller"}
    if layout.metadata:
        programs["metadata"] = "metadata"
    table = Sheet("Hypervisors and their processes", "name", "namespace", "underlay", *programs)
    for host in layout.hosts:
        cells = [_process(status, f"{host}-{program}", "down") for program in programs.values()]
        name = f"{host} gateway" if host in layout.gateways else host
        table.add_row(name, layout.host_namespace(host), layout.encap_address(host), *cells)
    return table


def instances(status: Status) -> Sheet:
    """Show the instances with their addresses, hosts and status."""
    table = Sheet("Instances", "name", "address", "host", "network", "status", "MAC")
    for entry in status.instances:
        it = entry.instance
        table.add_row(it.name, entry.address or "none", it.host, it.network, _state(entry.status), it.mac)
    return table


def ping(topology: DemoTopology) -> Paragraphs:
    """Show the output of ping."""
    source, target = topology.instances
    return demonstration(Demonstration(f"{source.name} pings {target.name}", output=topology.ping or ""))


def demonstration(shown: Demonstration) -> Paragraphs:
    """Show the output of a program."""
    return Paragraphs(Text(f"{shown.title}:", style="bold"), [*shown.output.strip().splitlines(), ""])


def next_steps(status: Status, program: str, seconds: float) -> RenderableType:
    """Show commands to try next, which can be copied as printed.

    Arguments:
        status: of the cloud.
        program: how to call `ovenbird` on this machine.
        seconds: the duration of the start.
    """
    layout = status.lab.layout
    place = "" if layout.rundir == DEFAULT_RUNDIR else f" --rundir {layout.rundir}"
    others = (entry.address for entry in status.instances if entry.instance.name != "test1" and entry.address)
    target = next(others, "127.0.0.1")
    steps = Text()
    for line, meaning in (
        (f"{program} lab boot test3{place} --network {NETWORK} --security-group {SECURITY_GROUP}", "one more instance"),
        (f"{program} lab exec{place} test1 -- ping -c 3 {target}", "a command in an instance"),
        (f"{program} lab host add hv9{place} --gateway", "one more hypervisor, which is also a gateway"),
        (f"curl {layout.api}/v2.0/ports", "the API; the openstack client works as well"),
        (f"ovsdb-client dump {layout.remote('sb')} OVN_Southbound Port_Binding", "Southbound, by Open vSwitch's tool"),
        (f"{program} down{place}", "remove everything"),
    ):
        steps.append(f"  # {meaning}\n", style="dim").append(f"  {line}\n", style="cyan")
    steps.rstrip()
    return Group(Text(f"Ready after {seconds:.1f} s. Try next:", style="bold"), steps)
