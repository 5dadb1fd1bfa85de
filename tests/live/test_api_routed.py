"""What the API says of a running cloud: which agents are alive, where ports are bound, and what it tells Nova."""

from __future__ import annotations

import json
import signal
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ovenbird.lab import programs
from support.waiting import until

pytestmark = pytest.mark.live

SERVER = "aaaaaaaa-0000-4000-8000-000000000001"


class Nova(ThreadingHTTPServer):
    """Listens to events."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Listener)
        self.heard = []
        self.away = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v2.1"

    def names(self, port):
        return [event["name"] for event in self.heard if event["tag"] == port]


class Listener(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.server.away:
            self.server.heard += body["events"]
        self.send_response(503 if self.server.away else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def nova():
    server = Nova()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def lab(make_module_lab, nova):
    def central(layout):
        usual = programs.all_in_one(layout)
        [process] = usual.processes
        return replace(usual, processes=(replace(process, argv=(*process.argv, f"--nova-url={nova.url}")),))

    return make_module_lab(gateways=("hv2",), settings={"agent_down_time": "2", "metadata": "true"}, central=central)


def alive(lab):
    with lab.neutron() as neutron:
        return {(agent["host"], agent["binary"]): agent["alive"] for agent in neutron.list("agent")}


def with_all(**hosts):
    """Each host's programs, as alive as the host is."""
    programs = ("ovn-controller", "neutron-ovn-metadata-agent")
    return {(host, program): up for host, up in hosts.items() for program in programs}


@pytest.fixture
def port(lab):
    """A port of an instance of Nova's, on hv1; and what plugs and unplugs it."""
    with lab.neutron() as neutron:
        network = neutron.create("network", name="wire")["id"]
        neutron.create("subnet", network_id=network, ip_version=4, cidr="10.9.0.0/24")
        owner = {"device_owner": "compute:nova", "device_id": SERVER, "binding:host_id": "hv1"}
        made = neutron.create("port", network_id=network, **owner)
        yield made
        unplug(lab)
        neutron.delete("port", made["id"])
        neutron.delete("network", network)


def plug(lab, port):
    tap = ("--may-exist", "add-port", "br-int", "tapnova")
    wanted = ("set", "Interface", "tapnova", "type=internal", f"external_ids:iface-id={port['id']}")
    lab.hypervisor("hv1").vsctl(*tap, "--", *wanted)


def unplug(lab):
    lab.hypervisor("hv1").vsctl("--if-exists", "del-port", "br-int", "tapnova")


def shown(lab, port):
    with lab.neutron() as neutron:
        return neutron.show("port", port["id"])


def becomes(lab, port, status):
    until(lambda: shown(lab, port)["status"] == status, what=f"the port to be {status}")


def test_agents_are_alive_or_down_as_their_controllers_are(lab):
    with lab.neutron() as neutron:
        types = {agent["host"]: agent["agent_type"] for agent in neutron.list("agent", binary="ovn-controller")}
    assert types == {"hv1": "OVN Controller agent", "hv2": "OVN Controller Gateway agent"}
    until(lambda: alive(lab) == with_all(hv1=True, hv2=True), what="both to answer")
    lab.kill_host("hv1")
    until(lambda: alive(lab) == with_all(hv1=False, hv2=True), what="hv1 to be missed")
    lab.start_host("hv1")
    until(lambda: alive(lab) == with_all(hv1=True, hv2=True), what="hv1 to answer again")


def test_status_and_nova_follow_the_switch(lab, nova, port):
    assert (port["status"], port["binding:vif_type"]) == ("DOWN", "ovs")
    plug(lab, port)
    becomes(lab, port, "ACTIVE")
    until(lambda: nova.names(port["id"]) == ["network-vif-plugged"], what="Nova to hear of it")
    unplug(lab)
    becomes(lab, port, "DOWN")
    until(lambda: nova.names(port["id"])[1:] == ["network-vif-unplugged"], what="Nova to hear of it")
    assert nova.heard[0] == {"name": "network-vif-plugged", "server_uuid": SERVER, "status": "completed",
                             "tag": port["id"]}  # fmt: skip


def api_answers(lab):
    with lab.neutron() as neutron:
        return neutron.answers


def kill_central(lab):
    """Kill the databases, compilers and API at once, and return when they are dead."""
    process = lab.process("central")
    process.signal(signal.SIGKILL)
    until(lambda: not process.alive, what="central to die")


def test_an_api_that_was_killed_notifies_nova_of_changes_in_the_meantime(lab, nova, port):
    nova.away = True
    kill_central(lab)
    plug(lab, port)
    until(lambda: api_answers(lab), what="the API to be back")
    becomes(lab, port, "ACTIVE")
    nova.away = False
    until(lambda: "network-vif-plugged" in nova.names(port["id"]), what="Nova to hear what it missed")
    kill_central(lab)
    unplug(lab)
    until(lambda: api_answers(lab), what="the API to be back")
    becomes(lab, port, "DOWN")


def test_binding_to_an_unknown_host_fails(lab, port):
    with lab.neutron() as neutron:
        neutron.update("port", port["id"], **{"binding:host_id": "nowhere"})
        assert neutron.show("port", port["id"])["binding:vif_type"] == "binding_failed"
