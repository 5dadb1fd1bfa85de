"""A hypervisor: a namespace with its own ovsdb-server and ovs-vswitchd, like a host in a data centre.

The switch uses the userspace datapath, so that the kernel needs no openvswitch module. With that datapath a tunnel's
packets leave through the bridge that has the tunnel's local address: `br-phys` has the uplink, and its internal port
has the address (ovs-vswitchd.conf.db(5); Open vSwitch's "userspace tunneling" how-to). `br-int` is the integration
bridge, which drops everything until a controller installs flows.
"""

import socket
from collections.abc import Mapping
from pathlib import Path

from ovenbird.dataclass import dataclass
from ovenbird.lab.command import run
from ovenbird.lab.external_network import OUTSIDE_LINK, PHYSICAL_NETWORK
from ovenbird.lab.layout import UNDERLAY_MTU, Layout
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.process import ProcessSpec
from ovenbird.lab.state import Kind, State
from ovenbird.lab.underlay import UPLINK

EXTERNAL_BRIDGE = "br-ex"
"""The bridge that holds a gateway's cable to the outside world."""

HOST_PROGRAMS = ("metadata", "controller", "ovs-vswitchd", "ovsdb-server")
"""The processes of a hypervisor, in the order in which they are ended; each is named `<host>-<program>`."""

_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")

# The internal port is new, and without its address, whenever the switch has been started. Its MAC address is the last
# that the switch gives it: before that the switch writes its flags as it read them, and could take it down again.
_ADDRESS = """
n=0
until ip -br link show {bridge} 2>/dev/null | grep -q {mac}; do n=$((n+1)); [ $n -lt 500 ] || exit 1; sleep 0.02; done
ip link set {bridge} up
ip address replace {address}/24 dev {bridge}
ethtool -K {bridge} tx off >/dev/null 2>&1 || true
"""


def listening(path: Path) -> bool:
    """Return whether a unix socket accepts connections."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Hypervisor:
    """One hypervisor of a lab.

    Arguments:
        layout: the lab it belongs to.
        name: its name, which is also its system-id and its hostname.
    """

    layout: Layout
    name: str

    @property
    def namespace(self) -> Namespace:
        """Its namespace."""
        return Namespace(self.layout.host_namespace(self.name), owner=self.layout.owner)

    @property
    def rundir(self) -> Path:
        """The directory of its sockets, database and logs."""
        return self.layout.host_rundir(self.name)

    @property
    def encap_address(self) -> str:
        """Its address on the underlay."""
        return self.layout.encap_address(self.name)

    @property
    def database(self) -> Path:
        """The socket of its Open_vSwitch database."""
        return self.rundir / "db.sock"

    @property
    def env(self) -> tuple[tuple[str, str], ...]:
        """The environment by which Open vSwitch's and OVN's programs use this hypervisor's directory."""
        directory = str(self.rundir)
        return tuple(
            (f"{family}_{kind}", directory)
            for family in ("OVS", "OVN")
            for kind in ("RUNDIR", "LOGDIR", "DBDIR", "SYSCONFDIR")
        )

    def process(self, program: str, argv: tuple[str, ...], *, after: tuple[str, ...] = ()) -> ProcessSpec:
        """Return the specification of a process on this hypervisor.

        Arguments:
            program: what it is: "controller".
            argv: its command line.
            after: a command to run here after each start.
        """
        name = f"{self.name}-{program}"
        return ProcessSpec(name, argv, str(self.rundir / f"{program}.log"), self.env, self.namespace.name, after)

    def database_process(self) -> ProcessSpec:
        """Return the specification of its ovsdb-server."""
        return self.process(
            "ovsdb-server",
            (
                "ovsdb-server",
                "--no-chdir",
                "--pidfile",
                "-vsyslog:off",
                f"--remote=punix:{self.database}",
                str(self.rundir / "conf.db"),
            ),
        )

    def switch_process(self) -> ProcessSpec:
        """Return the specification of its ovs-vswitchd."""
        address = self.encap_address
        return self.process(
            "ovs-vswitchd",
            ("ovs-vswitchd", "--disable-system", "--no-chdir", "--pidfile", "-vsyslog:off", f"unix:{self.database}"),
            after=(
                "sh",
                "-ec",
                _ADDRESS.format(bridge="br-phys", mac=self.layout.encap_mac(self.name), address=address),
            ),
        )

    def make(self, state: State) -> None:
        """Create the namespace and an empty database; the underlay is connected after this."""
        self.rundir.mkdir(parents=True, exist_ok=True)
        state.add(Kind.NAMESPACE, self.namespace.name)
        # The kernel receives packets of the uplink as well as the switch, and would answer for the address of br-phys.
        self.namespace.make("ipv6/conf/default/disable_ipv6=1", "ipv4/conf/all/arp_ignore=1")
        run(["ovsdb-tool", "create", str(self.rundir / "conf.db"), str(_SCHEMA)])

    def configure(self, external_ids: Mapping[str, str] | None = None) -> None:
        """Write the configuration that switch and controller will find; its ovsdb-server must run.

        Arguments:
            external_ids: additional keys of Open_vSwitch external_ids.
        """
        self.namespace.batch([f"link set {UPLINK} arp off up"])
        ids = {
            "system-id": self.name,
            "hostname": self.name,
            "ovn-remote": self.layout.remote("sb"),
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": self.encap_address,
            "ovn-bridge-datapath-type": "netdev",
            **(external_ids or {}),
        }
        self.vsctl(
            "--no-wait",
            *("init", "--", "set", "Open_vSwitch", "."),
            *(f'external_ids:{key}="{value}"' for key, value in ids.items()),
            *("--", "add-br", "br-phys"),
            *("--", "set", "Bridge", "br-phys", "datapath_type=netdev", "fail_mode=standalone"),
            f'other_config:hwaddr="{self.layout.encap_mac(self.name)}"',
            *("--", "set", "Interface", "br-phys", f"mtu_request={UNDERLAY_MTU}"),
            *("--", "add-port", "br-phys", UPLINK),
            *("--", "add-br", "br-int"),
            *("--", "set", "Bridge", "br-int", "datapath_type=netdev", "fail_mode=secure"),
            "other_config:disable-in-band=true",
        )

    def open_outside(self) -> None:
        """Connect this hypervisor's switch to the outside world, and make it a gateway (ovn-controller(8))."""
        self.namespace.batch([f"link set {OUTSIDE_LINK} arp off up"])
        self.vsctl(
            "--no-wait",
            *("add-br", EXTERNAL_BRIDGE, "--", "set", "Bridge", EXTERNAL_BRIDGE),
            *("datapath_type=netdev", "fail_mode=standalone", "--", "add-port", EXTERNAL_BRIDGE, OUTSIDE_LINK),
            *("--", "set", "Open_vSwitch", "."),
            f"external_ids:ovn-bridge-mappings={PHYSICAL_NETWORK}:{EXTERNAL_BRIDGE}",
            "external_ids:ovn-cms-options=enable-chassis-as-gw",
        )

    @property
    def switching(self) -> bool:
        """Whether the switch is up: br-int takes OpenFlow connections and br-phys has the tunnel's address."""
        return listening(self.rundir / "br-int.mgmt") and self.encap_address in self.namespace.run(
            "ip", "-br", "address", "show"
        )

    @property
    def tunnels(self) -> int:
        """How many tunnels its controller has created and the switch has added."""
        return len(self.vsctl("--bare", "--columns=name", "find", "Interface", "type=geneve", "ofport>0").split())

    def reaches(self, other: "Hypervisor") -> bool:
        """Return whether a packet comes back from another hypervisor and, if there are tunnels, could use one.

        The request makes this switch learn the other's MAC address, which it learns only from replies to ARP requests,
        and only some time after it has got a tunnel; otherwise it would drop the first packet into the tunnel.
        """
        script = f"ip neighbour flush dev br-phys; ping -n -c 1 -W 1 {other.encap_address} || true"
        if "bytes from" not in self.namespace.run("sh", "-c", script):
            return False
        return not self.tunnels or f"{other.encap_address} " in self.appctl("tnl/neigh/show")

    def _tool(self, *argv: str) -> str:
        return run(argv, env=dict(self.env))

    def vsctl(self, *arguments: str) -> str:
        """Run ovs-vsctl on this hypervisor's database and return its output."""
        return self._tool("ovs-vsctl", "--timeout=20", f"--db=unix:{self.database}", *arguments)

    def ofctl(self, *arguments: str) -> str:
        """Run ovs-ofctl on this hypervisor's switch, with names and OpenFlow 1.3 or newer understood."""
        return self._tool("ovs-ofctl", "-O", "OpenFlow13,OpenFlow14,OpenFlow15", *arguments)

    def appctl(self, *arguments: str, target: str = "ovs-vswitchd") -> str:
        """Run ovs-appctl against one of this hypervisor's programs."""
        return self._tool("ovs-appctl", "-t", target, *arguments)

    def plug(self, interface: str, *, port_id: str, mac: str) -> None:
        """Add a device of this namespace to br-int as a logical port's interface, as Nova does with a tap device.

        Arguments:
            interface: the device's name.
            port_id: the port's id.
            mac: the port's MAC address.
        """
        self.vsctl(
            *("--may-exist", "add-port", "br-int", interface),
            *("--", "set", "Interface", interface),
            f'external_ids:iface-id="{port_id}"',
            f'external_ids:attached-mac="{mac}"',
            "external_ids:iface-status=active",
        )

    @property
    def plugged(self) -> set[str]:
        """The plugged devices; its database must run, its switch need not."""
        return set(
            self.vsctl("--bare", "--columns=name", "find", "Interface", "external_ids:iface-status=active").split()
        )

    def unplug(self, interface: str, *, wait: bool = True) -> None:
        """Remove a device from br-int.

        Arguments:
            interface: the device.
            wait: whether to wait for the switch.
        """
        self.vsctl(*(() if wait else ("--no-wait",)), "--if-exists", "del-port", "br-int", interface)
