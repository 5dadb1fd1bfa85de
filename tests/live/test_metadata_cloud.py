"""Metadata in a whole cloud: what instances learn of themselves, Nova behind the proxy, a hundred networks."""

from __future__ import annotations

import base64
import hmac
import json
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from ovenbird.lab import programs
from ovenbird.lab.command import run
from ovenbird.lab.errors import CommandError
from ovenbird.lab.namespace import existing
from support.live.routed_world import GATEWAY, GROUP
from support.live.traffic import kill
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message
    from pathlib import Path

    from ovenbird.lab.hypervisor import Hypervisor
    from ovenbird.lab.instance import Instance
    from ovenbird.lab.neutron import Neutron
    from support.live.routed_world import World

pytestmark = pytest.mark.live

IPV4, IPV6 = "169.254.169.254", "[fe80::a9fe:a9fe%25eth0]"


def ask(instance: Instance, path: str, host: str = IPV4, *options: str) -> str | None:
    """Return what an instance is told, None where nobody answers or the answer is an error."""
    curl = ("curl", "-gsSf", "-m", "3", "--noproxy", "*", *options)
    try:
        return instance.run(*curl, f"http://{host}{path}")
    except CommandError:
        return None


def answers(instance: Instance) -> None:
    """Wait until the metadata service answers an instance."""
    until(lambda: ask(instance, "/") is not None, what=f"{instance.name}'s metadata")


@pytest.mark.parametrize("host", [IPV4, IPV6])
@pytest.mark.parametrize("name", ["red1", "red2", "blue2"])
def test_an_instance_learns_who_it_is(world: World, name: str, host: str) -> None:
    instance = world[name]
    answers(instance)
    data = json.loads(ask(instance, "/openstack/latest/meta_data.json", host) or "")
    assert (data["name"], data["hostname"]) == (name, name)
    network = json.loads(ask(instance, "/openstack/latest/network_data.json", host) or "")
    assert network["links"][0]["ethernet_mac_address"] == instance.mac
    assert ask(instance, "/latest/meta-data/local-ipv4", host) == instance.address
    assert ask(instance, "/2009-04-04/meta-data/mac", host) == instance.mac


def test_a_floating_ip_is_the_public_address(world: World) -> None:
    red1 = world["red1"]
    answers(red1)
    path = "/latest/meta-data/public-ipv4"
    with world.floating_ip("red1") as address:
        until(lambda: ask(red1, path) == address, what="the instance to learn of its floating IP")
    until(lambda: ask(red1, path) == "", what="the instance to learn that it has none")


def test_an_instance_is_booted_with_a_key_and_user_data(world: World, tmp_path: Path) -> None:
    script = b"#!/bin/sh\necho \x00\xff\n"
    (tmp_path / "setup").write_bytes(script)
    (tmp_path / "laptop.pub").write_text("ssh-ed25519 AAAA me\n")
    command = (sys.executable, "-m", "ovenbird.cli", "lab")
    rundir = ("--rundir", str(world.lab.layout.rundir))
    given = ("--hostname", "web.example", "--key", tmp_path / "laptop.pub", "--user-data", tmp_path / "setup")
    run([*command, "boot", "booted", *rundir, "--network", "red", "--host", "hv2", *map(str, given)])
    try:
        booted = world.lab.instance("booted")
        answers(booted)
        data = json.loads(ask(booted, "/openstack/latest/meta_data.json") or "")
        assert data["hostname"] == "web.example"
        assert data["public_keys"] == {"laptop": "ssh-ed25519 AAAA me"}
        assert ask(booted, "/latest/meta-data/hostname", IPV6) == "web.example"
        assert ask(booted, "/latest/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA me"
        for path in ("/openstack/latest/user_data", "/latest/user-data"):
            encoded = booted.run("sh", "-c", f"curl -s --noproxy '*' http://{IPV4}{path} | base64 -w0")
            assert base64.b64decode(encoded) == script
    finally:
        run([*command, "delete", *rundir, "booted"])
    assert not (world.lab.layout.boots / "lab-booted.json").exists()


SECRET = "shared"


@dataclass
class Nova:
    """A metadata service of Nova's, as far as its proxy can tell.

    Args:
        asked: path, headers and body of each request.
        port: where it listens on 127.0.0.1.
    """

    asked: list[tuple[str, Message, bytes]] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def running(self) -> Iterator[Nova]:
        """Listen for a while."""
        nova = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                nova.asked.append((self.path, self.headers, body))
                said = f"{self.command} {self.headers['X-Instance-ID']}".encode()
                self.send_response(404 if "nothing" in self.path else 200)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *_: Any) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture
def nova(world: World, tmp_path: Path) -> Iterator[Nova]:
    """Have hv1's metadata service ask a Nova."""
    ours = programs.metadata(world.hypervisor("hv1"))
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    with Nova().running() as running:
        kept = tuple(word for word in ours.argv if not word.startswith("--boots="))
        options = (f"--nova=http://127.0.0.1:{running.port}", f"--secret-file={secret}")
        world.lab.keep(replace(ours, argv=(*kept[:-1], *options, kept[-1])))
        try:
            yield running
        finally:
            world.lab.keep(ours)


def test_requests_are_forwarded_to_nova_with_the_instances_id(world: World, nova: Nova) -> None:
    red1 = world["red1"]
    with world.lab.neutron() as neutron:
        port = neutron.show("port", red1.port_id)
    device = port["device_id"]
    path = "/openstack/latest/meta_data.json?x=1"
    until(lambda: ask(red1, path) == f"GET {device}", what="Nova to be asked")
    where, headers, _ = nova.asked[-1]
    assert where == path
    assert headers["X-Forwarded-For"] == red1.address
    assert headers["X-Tenant-ID"] == port["project_id"]
    assert headers["X-Instance-ID-Signature"] == hmac.new(SECRET.encode(), device.encode(), "sha256").hexdigest()

    pretence = ("-H", "X-Instance-ID: another", "-H", "X-Forwarded-For: 10.1.0.99", "-H", "X-Tenant-ID: rich")
    assert ask(red1, path, IPV4, *pretence, "-d", "password") == f"POST {device}"
    _, headers, body = nova.asked[-1]
    assert body == b"password"
    for name in ("X-Instance-ID", "X-Forwarded-For", "X-Tenant-ID"):
        assert len(headers.get_all(name) or ()) == 1
    assert (headers["X-Forwarded-For"], headers["X-Tenant-ID"]) == (red1.address, port["project_id"])

    assert ask(red1, path, IPV6) == f"GET {device}"
    status = ("-o", "/dev/null", "-w", "%{http_code}")
    said = red1.run("curl", "-s", "-m", "3", "--noproxy", "*", *status, f"http://{IPV4}/nothing")
    assert said == "404"


NETWORKS = 100


def spaces(world: World, host: str) -> list[str]:
    """Return the namespaces of a host's metadata service."""
    return existing(world.lab.layout.metadata_namespaces(host))


def make_networks(neutron: Neutron, host: str, stack: ExitStack) -> dict[str, str]:
    """Make networks of the same addresses with a port each, which go with a stack; return network's to port's id."""
    made: dict[str, str] = {}
    for number in range(NETWORKS):
        network = neutron.create("network", name=f"many{number}")["id"]
        stack.callback(neutron.delete, "network", network)
        neutron.create("subnet", network_id=network, ip_version=4, cidr="10.7.0.0/28")
        owner = {"device_owner": "compute:lab", "device_id": f"many-{number}", "binding:host_id": host}
        made[network] = neutron.create("port", network_id=network, **owner)["id"]
        stack.callback(neutron.delete, "port", made[network])
    return made


def plug(hypervisor: Hypervisor, ports: Sequence[str], stack: ExitStack) -> None:
    """Plug in a device for each port, until a stack ends."""
    names = [f"many{number}" for number in range(len(ports))]
    stack.callback(hypervisor.vsctl, *chain(*(("--", "--if-exists", "del-port", name) for name in names)))
    for name, port in zip(names, ports, strict=True):
        settings = ("set", "Interface", name, "type=internal", f'external_ids:iface-id="{port}"')
        hypervisor.vsctl("--no-wait", "add-port", "br-int", name, "--", *settings)


def test_one_host_serves_metadata_to_a_hundred_networks(world: World) -> None:
    hypervisor, lab = world.hypervisor(GATEWAY), world.lab
    assert spaces(world, GATEWAY) == []
    with lab.neutron() as neutron, ExitStack() as stack:
        made = make_networks(neutron, GATEWAY, stack)
        plug(hypervisor, [*made.values()], stack)
        until(lambda: served(world, GATEWAY) == set(made), what="all networks to be served")
        assert len(spaces(world, GATEWAY)) == NETWORKS

        asking = lab.boot("asking", network=[*made][NETWORKS // 2], host=GATEWAY, security_groups=(GROUP,))
        stack.callback(lab.delete, "asking")
        answers(asking)
        assert ask(asking, "/latest/meta-data/hostname") == "asking"
        old = kill(lab.process(f"{GATEWAY}-metadata"))
        until(lambda: not old.alive, what="the service to die")
        until(lambda: ask(asking, "/latest/meta-data/hostname") == "asking", what="the next to answer")
        until(lambda: served(world, GATEWAY) == set(made), what="all networks to be served again")
    until(lambda: spaces(world, GATEWAY) == [], what="no namespace to be left")
    assert not [name for name in hypervisor.vsctl("list-ports", "br-int").split() if name.startswith("tap")]


def served(world: World, host: str) -> set[str]:
    """Return the networks that a host's metadata service serves."""
    running = world.lab.process(f"{host}-metadata")
    control = world.hypervisor(host).rundir / f"ovenbird-metadata.{running.pid if running else 0}.ctl"
    if not control.exists():
        return set()
    try:
        return set(world.hypervisor(host).appctl("networks", target=str(control)).split())
    except CommandError:
        return set()  # it has just been started
