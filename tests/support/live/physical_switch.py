"""A physical switch with a hardware_vtep database: Open vSwitch's emulator of one, `ovs-vtep`, in a lab.

The emulator drives an Open vSwitch of its own, with the userspace datapath as on the lab's hypervisors: it gives the
bridges that it makes the datapath of the bridge that stands for the switch.
"""

import sys
from dataclasses import dataclass

import pytest

from ovenbird.lab.command import run
from ovenbird.lab.hypervisor import Hypervisor, listening
from ovenbird.lab.lab import Lab
from ovenbird.lab.requirements import find_program
from ovenbird.lab.underlay import underlay
from support.live.machine import Machine
from support.waiting import until

NEEDED = ("vtep-ctl", "ovn-controller-vtep")
EMULATOR = "/usr/share/openvswitch/scripts/ovs-vtep"
SCHEMA = "/usr/share/openvswitch/vtep.ovsschema"


@dataclass(frozen=True, slots=True)
class PhysicalSwitch:
    """The emulated switch: a host of the underlay that has no controller.

    Arguments:
        lab: what is left of the switch goes with the lab.
        name: the host's and the switch's.
    """

    lab: Lab
    name: str

    @property
    def host(self) -> Hypervisor:
        """Its namespace and its Open vSwitch."""
        return Hypervisor(self.lab.layout.with_host(self.name, gateway=False), self.name)

    @classmethod
    def start(cls, lab: Lab, name: str) -> "PhysicalSwitch":
        """Make the switch, without ports and without the emulator.

        Skips the test where the emulator, or a program beside it, is missing.
        """
        missing = [name for name in (*NEEDED, EMULATOR) if not find_program(name)]
        if missing:
            pytest.skip(f"missing {', '.join(missing)}: apt-get install openvswitch-vtep ovn-controller-vtep")
        switch = cls(lab, name)
        host = switch.host
        host.make(lab.state)
        underlay(host.layout).join(name)
        run(["ovsdb-tool", "create", str(host.rundir / "vtep.db"), SCHEMA])
        served = (*host.database_process().argv, str(host.rundir / "vtep.db"))
        lab.keep(host.process("ovsdb-server", served))
        until(lambda: listening(host.database), what="the switch's databases")
        host.configure()
        lab.keep(host.switch_process())
        until(lambda: host.switching, what="the switch")
        host.vsctl("add-br", name, "--", "set", "Bridge", name, "datapath_type=netdev")
        switch.vtep("add-ps", name, "--", "set", "Physical_Switch", name, f"tunnel_ips={host.encap_address}")
        return switch

    def vtep(self, *arguments: str) -> None:
        """Run vtep-ctl on the switch's database."""
        run(["vtep-ctl", "--timeout=20", f"--db=unix:{self.host.database}", *arguments])

    def connect(self, machine: Machine, vlan: str, logical: str) -> None:
        """Connect a machine to a new port of the machine's name.

        Arguments:
            machine: the machine.
            vlan: the one of its packets that is connected, 0 for those without a tag.
            logical: the logical switch that the VLAN is in.
        """
        port = machine.connect(self.host.namespace, machine.name).name
        self.host.vsctl("add-port", self.name, port)
        bound = ("bind-ls", self.name, port, vlan, logical)
        self.vtep("add-port", self.name, port, "--", "add-ls", logical, "--", *bound)

    def emulate(self) -> None:
        """Run the emulator: it forwards as the database says from now on."""
        self.lab.keep(self.host.process("ovs-vtep", (sys.executable, EMULATOR, self.name)))

    def control(self, program: tuple[str, ...]) -> None:
        """Have a program control it, ours or ovn-controller-vtep."""
        databases = (f"--vtep-db=unix:{self.host.database}", f"--ovnsb-db={self.lab.layout.remote('sb')}")
        self.lab.keep(self.host.process("controller-vtep", (*program, *databases)))
