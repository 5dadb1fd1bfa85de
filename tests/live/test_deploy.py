"""`docs/deploy.md` as it is typed, on network namespaces that stand for its hosts; nothing of `ovenbird lab` is used.

A host has its own network, its own `/run`, and its own folders in place of `/etc/ovenbird`, `/var/lib/ovenbird` and so
on; `systemctl.py` does what the units say. What is not as on a real host: all run as root, Open vSwitch forwards in
user space, and no packages are installed.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from ovenbird.lab.requirements import environment, find_program
from support import ROOT, SUPPORT
from support.waiting import until

pytestmark = pytest.mark.live


PAGE = ROOT / "docs/deploy.md"
BLOCK = re.compile(r"^<!-- on ([\w, ]+): ([^>]+) -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LIMIT = 90.0
"""Seconds to wait for what has to happen, on a busy machine."""
NEEDED = (
    "ovs-pki",
    "htpasswd",
    "openssl",
    "openstack",
    "ovn-sbctl",
    "ovsdb-client",
    "udhcpc",
    "curl",
    "setpriv",
    "nsenter",
)
FOLDERS = {
    "/tmp": "tmp",
    "/etc/ovenbird": "etc",
    "/var/lib/ovenbird": "lib",
    "/etc/systemd/system": "units",
    "/etc/sysusers.d": "sysusers",
}
SHIMS = {
    "systemctl": 'exec {python} {here}/systemctl.py {place} "$@"',
    "scp": 'to=${{2#root@}}; cp "$1" "{hosts}/${{to%%:*}}/$(printf %s "${{to#*:}}" | sed "s,^{hosts}/[^/]*/,,")"',
    "systemd-sysusers": "exit 0",
    "chown": "exit 0",
}
"""What hosts have instead of some programs; there is no user `ovenbird` and no network of ssh."""


def run(*argv, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT, check=False, **options)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


class Host:
    """A host, or a network's cable box: a network namespace with a `/run` of its own, and a process that holds both."""

    def __init__(self, hosts, stack, name):
        self.name, self.hosts, self.place = name, hosts, hosts / name
        self.processes = []
        for folder in (*FOLDERS.values(), "pids", "log", "bin", "ovs"):
            (self.place / folder).mkdir(parents=True)
        for shim, text in SHIMS.items():
            body = text.format(python=sys.executable, here=SUPPORT / "live", place=self.place, hosts=hosts)
            (self.place / "bin" / shim).write_text(f"#!/bin/sh\n{body}\n")
            (self.place / "bin" / shim).chmod(0o755)
        resolver = Path("/etc/resolv.conf")
        if resolver.exists():
            shutil.copy(resolver, self.place)  # no host writes this machine's
        script = f"""
            [ ! -e {self.place}/resolv.conf ] || mount --bind {self.place}/resolv.conf /etc/resolv.conf
            mount -t tmpfs tmpfs /run
            mount -t sysfs sysfs /sys
            mkdir /run/openvswitch
            echo ready
            exec sleep infinity
        """
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation=private", "sh", "-ec", script],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(self.kill)
        assert self.holder.stdout.readline() == "ready\n"
        self.env = {
            "PATH": f"{self.place}/bin:{Path(sys.executable).parent}:{environment()['PATH']}",
            "HOME": str(self.place), "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        self.sh("ip link set lo up")

    def inside(self, *argv):
        return ["nsenter", f"--target={self.holder.pid}", "--mount", "--net", *argv]

    def here(self, text):
        """Return a text with this host's folders in it."""
        text = text.replace("/opt/ovenbird/bin", str(Path(sys.executable).parent))
        for path, folder in FOLDERS.items():
            others = f"(?!{re.escape(str(ROOT))}/)"  # the source may be in /tmp itself
            text = re.sub(rf"(?<![\w/]){others}{path}(?=[/\s'\"]|$)", f"{self.place}/{folder}", text)
        return text

    def sh(self, text):
        """Run commands as somebody types them, in the folder of Ovenbird's source; return what they print."""
        done = subprocess.run(
            self.inside("bash", "-e", "-o", "pipefail"), input=f"cd {ROOT}\n{self.here(text)}", env=self.env,
            capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{self.name}: {text}{done.stdout}{done.stderr}"
        return done.stdout

    def spawn(self, *argv):
        with (self.place / "log" / argv[0]).open("a") as log:
            self.processes.append(subprocess.Popen(self.inside(*argv), stdout=log, stderr=log, env=self.env))

    def kill(self):
        """End everything that runs here at once, as a power cut does."""
        if self.holder.poll() is not None:
            return
        mine = Path(f"/proc/{self.holder.pid}/ns/mnt").readlink()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if (entry / "ns/mnt").readlink() == mine and int(entry.name) != self.holder.pid:
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue
        self.holder.kill()
        for process in (self.holder, *self.processes):
            process.wait()
        self.holder.stdout.close()

    def start_switch(self, address=None):
        """Start Open vSwitch, as its package does, forwarding in user space: `br-phys` has the tunnels' address."""
        run("ovsdb-tool", "create", self.place / "ovs/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        self.spawn("ovsdb-server", "--no-chdir", "--pidfile", "-vsyslog:off", "--remote=punix:/run/openvswitch/db.sock",
                   f"{self.place}/ovs/conf.db")  # fmt: skip
        number = int(address.rpartition(".")[2])
        mac = f"0a:58:0a:01:00:{number:02x}"
        self.sh(f"""
            until [ -S /run/openvswitch/db.sock ]; do sleep 0.05; done
            sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.conf.all.arp_ignore=1
            ip link set eth0 arp off up
            ip link set eth1 arp off up
            ovs-vsctl --no-wait init -- set Open_vSwitch . external_ids:ovn-bridge-datapath-type=netdev \
                -- add-br br-phys -- set Bridge br-phys datapath_type=netdev other_config:hwaddr={mac} \
                -- add-port br-phys eth0
        """)
        self.spawn("ovs-vswitchd", "--disable-system", "--no-chdir", "--pidfile", "-vsyslog:off",
                   "unix:/run/openvswitch/db.sock")  # fmt: skip
        self.sh(f"""
            until ip -br link show br-phys 2>/dev/null | grep -q {mac}; do sleep 0.05; done
            ip link set br-phys up
            ip address add {address}/24 dev br-phys
            ethtool -K br-phys tx off >/dev/null
        """)


class World:
    """The hosts, the networks between them, and the page."""

    def __init__(self, stack):
        self.blocks = [(set(m[1].split(", ")), m[2], m[3]) for m in BLOCK.finditer(PAGE.read_text())]
        self.typed = set()
        self.stack, self.folder = stack, Path(tempfile.mkdtemp(prefix="obd", dir="/tmp"))
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.cables = Host(self.folder, stack, "cables")
        self.hosts = {name: Host(self.folder, stack, name) for name in ("controller", "outside")}
        for bridge in ("inner", "outer"):
            self.cables.sh(f"ip link add {bridge} type bridge; ip link set {bridge} up")
        for name, bridge, address in (("controller", "inner", "10.1.0.10"), ("outside", "outer", "203.0.113.1")):
            self.cable(name, "eth0", bridge)
            self.hosts[name].sh(f"""
                ethtool -K eth0 tx off >/dev/null
                ip address add {address}/24 dev eth0
                ip link set eth0 up
            """)
        self.compute("compute1", "10.1.0.11")
        self.compute("compute2", "10.1.0.12")

    def __getattr__(self, name):
        return self.hosts[name]

    def cable(self, name, device, bridge):
        """Lay a cable from a host's device."""
        end = f"{name}-{device[3:]}"
        self.cables.sh(f"""
            ip link add {end} type veth peer name {device} netns {self.hosts[name].holder.pid}
            ip link set {end} master {bridge} up
        """)

    def compute(self, name, address):
        """Have a compute host, with its cables and its switch."""
        self.hosts[name] = Host(self.folder, self.stack, name)
        self.cable(name, "eth0", "inner")
        self.cable(name, "eth1", "outer")
        self.hosts[name].start_switch(address)

    def replace(self, name):
        """Have a host again that was lost, with the keys and units that it had."""
        old = self.folder / f"{name}-lost"
        (self.folder / name).rename(old)
        self.cables.sh(f"ip link delete {name}-0; ip link delete {name}-1")
        self.compute(name, "10.1.0.12")
        for folder in ("etc", "units"):
            shutil.copytree(old / folder, self.folder / name / folder, dirs_exist_ok=True)

    def type(self, title, *hosts, **other):
        """Type the page's block of this title, on all its hosts or these; `other` names stand in for the page's."""
        titled = [block for block in self.blocks if block[1] == title]
        (found,) = [block for block in titled if len(titled) == 1 or block[0] & {*hosts}]
        self.typed.add(id(found))
        text = found[2]
        for old, new in other.items():
            text = re.sub(rf"\b{old}\b", new, text)
        text = text.replace("openstack <<'END'", "openstack <<'END' || true")  # it ends with 1 whatever happened
        began = time.monotonic()
        try:
            return "".join(self.hosts[name].sh(text) for name in hosts or sorted(found[0]))
        finally:
            sys.stdout.write(f"{title}: {time.monotonic() - began:.1f} s\n")

    def diagnose(self):
        """Print the ends of the daemons' logs."""
        for host in self.hosts.values():
            for log in sorted((host.place / "log").glob("ovenbird-*")):
                sys.stdout.write(f"--- {host.name} {log.name}\n" + log.read_text()[-2000:])


@pytest.fixture
def world(machine):
    missing = [name for name in NEEDED if not find_program(name) and not (Path(sys.executable).parent / name).exists()]
    if missing:
        pytest.skip(f"missing {', '.join(missing)}")
    with ExitStack() as stack:
        made = World(stack)
        try:
            yield made
        except BaseException:
            made.diagnose()
            raise


def plug(world, host, **names):
    """Boot an instance as the page does; the device of a namespace must not leave checksums to hardware."""
    world.type("port", "controller", **names)
    world.type("instance", host, **names)
    name = names.get("vm1", "vm1")
    world.hosts[host].sh(f"ip netns exec {name} ethtool -K eth0 tx off >/dev/null")
    assert world.type("DHCP and metadata", host, **names).rstrip().endswith(name)


def open_bridge(host):
    """Have `br-ex` forward in user space, as all of this host's switch."""
    host.sh("ovs-vsctl set Bridge br-ex datapath_type=netdev")


SECOND = """
port create --network private --security-group web --device 6a7a8c1e-0b5a-4a52-9d8e-3f6e4c1b2a90 --host compute2 vm2
floating ip create --port vm2 --floating-ip-address 203.0.113.151 public
"""


def test_the_page(world):
    world.type("units")
    for host in world.hosts.values():
        for unit in (host.place / "units").iterdir():
            unit.write_text(host.here(unit.read_text()))
    world.type("keys")
    world.type("API's key")
    world.type("users")
    world.type("parts")
    world.type("settings")
    world.type("connection")
    until(lambda: "bound_port" in world.type("connection's status"))
    for name in ("compute1", "compute2"):
        world.type("chassis", name)
        world.hosts[name].sh("ovs-vsctl --no-wait --may-exist add-br br-ex")
        open_bridge(world.hosts[name])
        world.type("gateway", name)
        world.type("services", name)
    until(lambda: sorted(chassis(world)) == ["compute1", "compute2"])
    world.type("networks")
    plug(world, "compute1")
    assert " 0% packet loss" in world.type("ping")
    assert world.type("chassis are there").count(":-)") == 4

    with Ping(world.outside, "203.0.113.150") as ping:  # no packet is lost while everything is replaced
        world.type("upgrade")
        world.type("upgrade parts")
        world.controller.sh("ovn-nbctl --timeout=60 --wait=hv sync")
        world.type("from parts to central")
        world.type("central")
        world.controller.sh("ovn-nbctl --timeout=60 --wait=hv sync")
        assert ping.stop() == 0

    second = {"vm1": "vm2", "5f7a8c1e": "6a7a8c1e", "compute1": "compute2"}
    world.controller.sh(f". /etc/ovenbird/openrc; openstack <<'END' || true\n{SECOND}END")
    plug(world, "compute2", **second)
    world.outside.sh("ping -c 1 -w 30 203.0.113.151")
    lose(world)
    add(world)
    leave(world)
    assert world.typed == {id(block) for block in world.blocks}, "the page has blocks that are not typed"


class Ping:
    """A ping that goes on; `stop` returns how many were lost."""

    def __init__(self, host, address):
        self.process = subprocess.Popen(
            host.inside("ping", "-n", "-i", "0.1", address), stdout=subprocess.PIPE, text=True, env=host.env
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        said = self.process.communicate(timeout=30)[0]
        numbers = [int(n) for n in re.findall(r"icmp_seq=(\d+)", said)]
        return max(numbers) - len(set(numbers))


def chassis(world):
    return world.controller.sh("ovn-sbctl --bare --columns=name list Chassis").split()


def lose(world):
    """Pull compute2's plug, wherever the gateway is."""
    lost = world.hosts.pop("compute2")
    lost.kill()
    world.outside.sh("ping -c 1 -w 60 203.0.113.150")
    world.type("forget a lost host")
    until(lambda: chassis(world) == ["compute1"])


def add(world):
    """Give compute2 back, with nothing but its keys."""
    world.replace("compute2")
    world.type("chassis", "compute2")
    world.hosts["compute2"].sh("ovs-vsctl --no-wait --may-exist add-br br-ex")
    open_bridge(world.hosts["compute2"])
    world.type("gateway", "compute2")
    world.type("services", "compute2")
    until(lambda: sorted(chassis(world)) == ["compute1", "compute2"])


def leave(world):
    world.type("leave")
    until(lambda: chassis(world) == ["compute1"])
    world.outside.sh("ping -c 1 -w 60 203.0.113.150")
