"""Load balancers by real packets: from their own network, through routers, hairpin, from outside; what connections see.

    hv1: b1, c          hv2: b2          the outside world

`b1` and `b2` are backends in network `net`, `c` is a client in network `other`. Router `r` joins them and has its way
out on hv2; gateway router `g` is on hv1, and gives what it balances a source of its own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ovenbird.lab import external_network, programs
from ovenbird.lab.external_network import ExternalNetwork
from support.live.conversation import PORT, SERVER, Conversation, Place, answers, ask
from support.live.traffic import Program
from support.waiting import until

if TYPE_CHECKING:
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.lab import Lab

pytestmark = pytest.mark.live

Nbctl = Callable[..., str]

HOSTS = ("hv1", "hv2")
ARRANGEMENTS = {
    "ours": (programs.split(api=False), {}),
    "the original's central programs": (programs.originals, {}),
    "the original's controllers": (
        programs.split(api=False), dict.fromkeys(HOSTS, programs.ORIGINAL_CONTROLLER),
    ),
}  # fmt: skip
NETWORKS = {
    "net": ("02:00:00:00:0a:08", "10.8.0.254/24"),
    "other": ("02:00:00:00:0a:09", "10.9.0.254/24"),
    "join": ("02:00:00:00:0a:0a", "100.64.0.1/24"),
    "out": ("02:00:00:00:0a:0b", "172.24.4.2/24"),
}
PREFIX6 = {"net": "fd08::", "other": "fd09::"}
INSTANCES = {"b1": ("hv1", "net", "10.8.0.1"), "b2": ("hv2", "net", "10.8.0.2"), "c": ("hv1", "other", "10.9.0.1")}


@dataclass
class Site:
    """What the tests share.

    Args:
        lab: the cloud.
        nb: runs ovn-nbctl.
        instances: by name.
    """

    lab: Lab
    nb: Nbctl
    instances: dict[str, Instance]

    def __getitem__(self, name: str) -> Instance:
        """Return the instance of a name."""
        return self.instances[name]

    @property
    def outside(self) -> ExternalNetwork:
        """The outside world."""
        return ExternalNetwork(self.lab.layout)

    @contextmanager
    def served(self, *names: str) -> Iterator[None]:
        """Run servers in instances for a while."""
        with ExitStack() as stack:
            for name in names:
                argv = (sys.executable, "-c", SERVER, name, str(PORT))
                stack.enter_context(Program(self.instances[name], *argv, ready=True))
            yield

    def backends(self, balancer: str, vip: str, *names: str) -> None:
        """Put instances behind a virtual address."""
        there = ",".join(f"{INSTANCES[name][2]}:{PORT}" for name in names)
        self.nb("--wait=hv", "set", "Load_Balancer", balancer, f'vips:"{vip}:{PORT}"="{there}"')


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def lab(request: pytest.FixtureRequest, originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    central, controllers = ARRANGEMENTS[request.param]
    return make_module_lab(hosts=HOSTS, gateways=HOSTS, central=central, controllers=controllers)


@pytest.fixture(scope="module")
def site(lab: Lab, nb: Nbctl) -> Site:
    nb("lr-add", "r", "--", "lr-add", "g", "--", "set", "Logical_Router", "g", "options:chassis=hv1")
    for switch, (mac, address) in NETWORKS.items():
        join(nb, switch, "r", mac, address)
    join(nb, "join", "g", "02:00:00:00:0a:0c", "100.64.0.2/24")
    join(nb, "out", "g", "02:00:00:00:0a:0d", "172.24.4.3/24")
    nb("lsp-add", "out", "ln", "--", "lsp-set-type", "ln", "localnet", "--", "lsp-set-addresses", "ln", "unknown")
    nb("lsp-set-options", "ln", f"network_name={external_network.PHYSICAL_NETWORK}")
    nb("lrp-set-gateway-chassis", "r-out", "hv2", "10")
    nb("lr-route-add", "g", "10.0.0.0/8", "100.64.0.1")
    nb("set", "Logical_Router", "g", "options:lb_force_snat_ip=router_ip")
    instances = {}
    for number, (name, (host, switch, address)) in enumerate(INSTANCES.items(), 1):
        mac = f"02:00:00:00:0b:{number:02x}"
        address6 = f"{PREFIX6[switch]}{number}"
        nb("lsp-add", switch, name, "--", "lsp-set-addresses", name, f"{mac} {address} {address6}")
        instances[name] = instance = lab.attach(name, host=host, port_id=name, mac=mac, dhcp=False)
        gateway = NETWORKS[switch][1].partition("/")[0]
        addresses = [f"address add {address}/24 dev eth0", f"address add {address6}/64 dev eth0 nodad"]
        instance.namespace.batch([*addresses, f"route add default via {gateway}"])
    return Site(lab, nb, instances)


def join(nb: Nbctl, switch: str, router: str, mac: str, address: str) -> None:
    """Connect a switch, which is made if need be, with a router."""
    inside, outside = f"{router}-{switch}", f"{switch}-{router}"
    nb("--may-exist", "ls-add", switch, "--", "lrp-add", router, inside, mac, address)
    nb("lsp-add", switch, outside, "--", "lsp-set-type", outside, "router")
    nb("lsp-set-addresses", outside, "router", "--", "lsp-set-options", outside, f"router-port={inside}")


def test_every_way_to_a_backend(site: Site) -> None:
    """Backends answer in their own network, through routers and from outside; connections live as long as they may."""
    nb, own, far, near = site.nb, "10.8.0.100", "172.24.4.202", "172.24.4.201"
    both = ",".join(f"{INSTANCES[name][2]}:{PORT}" for name in ("b1", "b2"))
    for name, vip in (("own", own), ("near", near), ("far", far)):
        nb("lb-add", name, f"{vip}:{PORT}", both)
    nb("create", "Load_Balancer_Group", "name=switches")
    group = nb("--bare", "--columns=_uuid", "find", "Load_Balancer_Group", "name=switches").strip()
    balancer = nb("--bare", "--columns=_uuid", "find", "Load_Balancer", "name=own").strip()
    nb("set", "Load_Balancer_Group", group, f"load_balancer={balancer}")
    for kind, name in (("Logical_Switch", "net"), ("Logical_Switch", "other"), ("Logical_Router", "r")):
        nb("set", kind, name, f"load_balancer_group={group}")
    nb("lr-lb-add", "r", "near", "--", "lr-lb-add", "g", "far")
    nb("--wait=hv", "sync")
    with site.served("b1", "b2"):
        answers(site["c"], own, "b1", "b2")
        answers(site["b1"], own, "b1", "b2")  # from the network of the backends; b1 reaches itself, too
        answers(site.outside, near, "b1", "b2")
        answers(site.outside, far, "b1", "b2")
        nb("--wait=hv", "set", "Load_Balancer", "own", "selection_fields=ip_src,ip_dst")
        until(lambda: len({ask(site["c"], own) for _ in range(12)}) == 1, what="a client to stay with one backend")
        nb("--wait=hv", "set", "Load_Balancer", "own", "selection_fields=ip_src,tp_src")
        answers(site["c"], own, "b1", "b2")
        nb("clear", "Load_Balancer", "own", "selection_fields")
        outlives(site, site["c"], "own", own, left="b1")
        outlives(site, site.outside, "near", near, left="silence")  # the router's flows for b1's answers are gone, too
        outlives(site, site.outside, "far", far, left="b1")
        nb("set", "Load_Balancer", "own", "options:ct_flush=true")
        outlives(site, site["c"], "own", own, left="reset")  # by the backend that knows nothing of the connection
        site.backends("own", own, "b1")
        answers(site["b1"], own, "b1")
        nb("set", "Load_Balancer", "own", 'options:hairpin_snat_ip="10.7.0.99"')
        nb("--wait=hv", "sync")
        answers(site["b1"], own, "b1")
    # With a source that the router forces, refusals would come from that source: a fault of the original's.
    nb("remove", "Logical_Router", "g", "options", "lb_force_snat_ip")
    for name, vip in (("own", own), ("near", near), ("far", far)):
        nb("set", "Load_Balancer", name, "options:reject=true")
        site.backends(name, vip)
    for place, vip in ((site["c"], own), (site["b2"], own), (site.outside, near), (site.outside, far)):
        until(lambda p=place, v=vip: ask(p, v) == "refused", what=f"a virtual address without backends to refuse {vip}")


def outlives(site: Site, place: Place, name: str, vip: str, *, left: str) -> None:
    """See a connection outlive that another backend comes and goes, and what becomes of it when its own goes.

    Args:
        site: where.
        place: where the client is.
        name: the load balancer's.
        vip: its virtual address.
        left: what the client gets from the backend that it is connected to when that is one no more.
    """
    site.backends(name, vip, "b1")
    answers(place, vip, "b1")
    with Conversation(place, vip) as conversation:
        assert conversation.partner == "b1"
        site.backends(name, vip, "b1", "b2")
        answers(place, vip, "b1", "b2")
        assert conversation.say() == "b1"
        site.backends(name, vip, "b1")
        answers(place, vip, "b1")
        assert conversation.say() == "b1"
        site.backends(name, vip, "b2")
        answers(place, vip, "b2")
        assert conversation.say() == left


def statuses(sb: Callable[..., str]) -> dict[tuple[str, str], str]:
    """Return what has come of probes by protocol and address."""
    lines = sb("--bare", "--columns=protocol,ip,status", "--format=csv", "find", "Service_Monitor").splitlines()
    return {(protocol, ip): status for protocol, ip, status in (line.split(",") for line in lines if line)}


def test_only_backends_that_answer_probes_get_connections(site: Site, nb: Nbctl, sb: Callable[..., str]) -> None:
    vips = {"web": ("tcp", "10.7.0.1:80", 4), "names": ("udp", "10.7.0.1:80", 4), "six": ("tcp", "[fd07::1]:80", 6)}
    for name, (protocol, vip, version) in vips.items():
        backends = [
            f"10.8.0.{n}:{PORT}" if version == 4 else f"[{PREFIX6['net']}{n}]:{PORT}" for n in (1, 2)
        ]  # fmt: skip
        nb("--reject", "lb-add", name, vip, ",".join(backends), protocol)
        for n in (1, 2):
            key, source = (f"10.8.0.{n}", "10.8.0.200") if version == 4 else (f"[{PREFIX6['net']}{n}]", "[fd08::200]")
            nb("set", "Load_Balancer", name, f'ip_port_mappings:"{key}"="b{n}:{source}"')
        check = ("--id=@check", "create", "Load_Balancer_Health_Check", f'vip="{vip}"', "options:interval=1")
        nb(*check, "options:timeout=1", "--", "add", "Load_Balancer", name, "health_check", "@check")
        nb("ls-lb-add", "other", name)

    def are(one: str, two: str) -> None:
        expected = {
            (protocol, f"{prefix}{number}"): status
            for protocol, prefix in (("tcp", "10.8.0."), ("udp", "10.8.0."), ("tcp", PREFIX6["net"]))
            for number, status in enumerate((one, two), 1)
        }
        until(lambda: statuses(sb) == expected, what=f"b1 to be {one} and b2 {two}")

    are("offline", "offline")
    until(lambda: ask(site["c"], "10.7.0.1") == "refused", what="refusal without any backend")
    with site.served("b1"):
        are("online", "offline")
        answers(site["c"], "10.7.0.1", "b1")
        with site.served("b2"):
            are("online", "online")
            answers(site["c"], "10.7.0.1", "b1", "b2")
        are("online", "offline")
        answers(site["c"], "10.7.0.1", "b1")
    for name in vips:
        nb("lb-del", name)
    until(lambda: not statuses(sb), what="monitors to go with their load balancers")


def test_packets_to_a_balancer_without_backends_are_reported(site: Site, nb: Nbctl, sb: Callable[..., str]) -> None:
    address = "10.7.0.9"
    nb("--event", "lb-add", "empty", f"{address}:{PORT}", "", "--", "ls-lb-add", "other", "empty")
    balancer = nb("--bare", "--columns=_uuid", "find", "Load_Balancer", "name=empty").strip()
    nb("--wait=hv", "sync")

    def events() -> list[tuple[str, str, int]]:
        listed = sb("--bare", "--columns=event_type,chassis,event_info,seq_num", "list", "Controller_Event")
        found = []
        for kind, chassis, info, number in (row.split("\n") for row in listed.strip().split("\n\n") if row):
            assert {balancer, f"{address}:{PORT}"} <= {part.strip('"') for part in re.split("[= ]", info)}
            found.append((kind, sb("--bare", "--columns=name", "list", "Chassis", chassis).strip(), int(number)))
        return found

    def told() -> bool:
        assert ask(site["c"], address) == "silence"
        return bool(events())

    until(told, what="an event")
    ((kind, chassis, number),) = events()
    assert (kind, chassis) == ("empty_lb_backends", "hv1")
    assert ask(site["c"], address) == "silence"
    assert len(events()) == 1  # as long as the cloud has not dealt with it
    sb("destroy", "Controller_Event", sb("--bare", "--columns=_uuid", "list", "Controller_Event").strip())
    until(told, what="another event")
    assert events()[0][2] > number


def test_a_template_has_another_address_on_each_chassis(site: Site, nb: Nbctl) -> None:
    for host, vip in (("hv1", "10.7.0.51"), ("hv2", "10.7.0.52")):
        nb("create", "Chassis_Template_Var", f"chassis={host}", f"variables:vip={vip}", f"variables:port={PORT}")
    nb("--template", "lb-add", "node", "^vip:^port", f"{INSTANCES['b2'][2]}:{PORT}")
    nb("--wait=hv", "ls-lb-add", "net", "node", "--", "ls-lb-add", "other", "node")
    with site.served("b2"):
        for name, vip in (("b1", "10.7.0.51"), ("c", "10.7.0.51"), ("b2", "10.7.0.52")):
            answers(site[name], vip, "b2")
        nb("--wait=hv", "set", "Chassis_Template_Var", "hv1", "variables:vip=10.7.0.53")
        answers(site["b1"], "10.7.0.53", "b2")
        assert ask(site["b1"], "10.7.0.51") == "silence"
    nb("lb-del", "node")
