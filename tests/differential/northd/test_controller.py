"""Debian's ovn-controller on our Southbound: datapath groups that grow and shrink reach its switch at once."""

import re
import shutil
import subprocess
import sys

import pytest

from support.waiting import until

NEEDED = ("ovn-controller", "ovs-vswitchd", "ovs-vsctl", "ovs-ofctl")


@pytest.fixture
def hypervisor(oracle):
    """One chassis with a dummy switch, on the database that our northd writes."""
    if lacking := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"needs Debian's OVS and OVN: {', '.join(lacking)}")
    oracle.stop_northd()
    made = Hypervisor(oracle)
    made.start()
    return made


class Hypervisor:
    def __init__(self, oracle):
        self.oracle = oracle
        self.remote = oracle.remote("conf")

    def start(self):
        oracle = self.oracle
        database = str(oracle.path("conf.db"))
        schema = "/usr/share/openvswitch/vswitch.ovsschema"
        subprocess.run(["ovsdb-tool", "create", database, schema], check=True)
        oracle._spawn("ovsdb-server", f"--remote=p{self.remote}", f"--unixctl={oracle.path('conf.ctl')}",
                      "-vconsole:off", database)  # fmt: skip
        self.vsctl("--no-wait", "init", "--", "set", "Open_vSwitch", ".", "external_ids:system-id=hv1",
                   f"external_ids:ovn-remote={oracle.remote('ours')}", "external_ids:ovn-encap-type=geneve",
                   "external_ids:ovn-encap-ip=127.0.0.1")  # fmt: skip
        oracle._spawn("ovs-vswitchd", self.remote, "--enable-dummy=system", "--disable-system", "-vconsole:off",
                      f"--unixctl={oracle.path('vswitchd.ctl')}")  # fmt: skip
        self.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "fail_mode=secure",
                   "protocols=OpenFlow13,OpenFlow15")  # fmt: skip
        oracle._spawn(sys.executable, "-m", "ovenbird.cli", "northd", f"--ovnnb-db={oracle.remote('nb')}",
                      f"--ovnsb-db={oracle.remote('ours')}", f"--unixctl={oracle.path('ours.ctl')}.northd")  # fmt: skip
        self.wait_for("SB_Global")  # without it, ovn-controller 23.03 does not live long
        oracle._spawn("ovn-controller", self.remote, "-vconsole:off")
        oracle.wait = "hv"
        self.wait_for("Chassis")

    def wait_for(self, table):
        until(lambda: self.oracle.ours.select(table, "_uuid"))

    def vsctl(self, *arguments):
        command = ["ovs-vsctl", f"--db={self.remote}", "--timeout=20", *arguments]
        until(self.oracle.path("conf.sock").exists)
        subprocess.run(command, check=True, env=self.oracle.environment)

    def plug(self, name):
        interface = ("set", "Interface", name, f"external_ids:iface-id={name}", "type=dummy")
        self.vsctl("add-port", "br-int", name, "--", *interface)
        self.oracle.nbctl("wait-until", "Logical_Switch_Port", name, "up=true")

    def flows(self, key):
        """Return the flows of one datapath, without counters and cookies."""
        control = self.oracle.path("br-int.mgmt")
        command = ["ovs-ofctl", "-O", "OpenFlow15", "--no-stats", "--no-names", "dump-flows", str(control)]
        command.append(f"metadata={key}")
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=self.oracle.environment)
        lines = (re.sub(r"cookie=\w+, ", "", line.strip()) for line in done.stdout.splitlines())
        return sorted(line for line in lines if "actions=" in line)


def test_a_switch_that_joins_a_group_gets_its_flows_and_one_that_leaves_loses_them(oracle, hypervisor):
    oracle.nbctl(
        "ls-add", "s0", "--", "set", "Logical_Switch", "s0", "other_config:requested-tnl-key=11",
        "--", "lsp-add", "s0", "p0", "--", "lsp-set-addresses", "p0", "00:00:00:00:00:01 10.0.0.1",
        "--", "pg-add", "g", "p0", "--", "acl-add", "g", "to-lport", "10", "outport == @g && tcp", "allow-related",
        "--", "acl-add", "g", "to-lport", "5", "outport == @g && ip", "drop",
    )  # fmt: skip
    hypervisor.plug("p0")
    assert len(hypervisor.flows(11)) > 100
    oracle.nbctl(
        "ls-add", "s1", "--", "set", "Logical_Switch", "s1", "other_config:requested-tnl-key=12",
        "--", "lsp-add", "s1", "p1", "--", "lsp-set-addresses", "p1", "00:00:00:00:00:02 10.0.0.2",
    )  # fmt: skip
    hypervisor.plug("p1")
    oracle.nbctl("sync")
    alone = hypervisor.flows(12)
    assert len(alone) > 50
    oracle.nbctl("pg-set-ports", "g", "p0", "p1")
    assert len(hypervisor.flows(12)) == len(hypervisor.flows(11))
    oracle.nbctl("pg-set-ports", "g", "p0")
    assert hypervisor.flows(12) == alone
