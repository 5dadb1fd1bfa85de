"""The real ``openstack`` client, unchanged, against the API on a free loopback port, down to Northbound."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from ovenbird.api.service import Service
from ovenbird.cloud import compiler
from ovenbird.model import cloud, nb, sb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server


def find_client():
    beside = Path(sys.executable).parent / "openstack"
    return str(beside) if beside.exists() else shutil.which("openstack")


class Cloud:
    """An API with its databases and compiler in this process, and the client that people type."""

    def __init__(self, home):
        self.home = home
        self.server = Server()
        self.cloud = self.server.add(Database(cloud.schema(), cloud.ROWS))
        self.nb = self.server.add(Database(nb.schema(), nb.ROWS))
        self.sb = self.server.add(Database(sb.schema(), sb.ROWS))
        self.engine = compiler(self.cloud.store, self.nb.store, self.sb.store)
        self.cloud.on_change(lambda _commit: self.compile())
        self.compile()
        self.api = Service(self.cloud, self.nb, self.sb, port=0)

    def compile(self):
        self.engine.run()
        transaction = self.nb.transaction()
        for output in self.engine.outputs.values():
            output.plan(transaction)
        transaction.commit()

    async def run(self, command):
        """Return (exit status, standard output, standard error) of a command."""
        process = await asyncio.create_subprocess_exec(
            find_client(), "--os-auth-type", "none", "--os-endpoint", self.api.url, *command.split(),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def __call__(self, command):
        status, out, err = await self.run(command)
        assert status == 0, (command, err)
        return out

    async def json(self, command):
        return json.loads(await self(f"{command} -f json"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")  # the client remembers its plug-ins there, which saves it a second each time


@pytest.fixture
async def openstack(home):
    if find_client() is None:
        pytest.skip("python-openstackclient is not installed")
    made = Cloud(home)
    await made.api.start()
    yield made
    await made.api.stop()


async def test_networks_subnets_and_ports(openstack):
    network = await openstack.json("network create private")
    subnet = await openstack.json(
        "subnet create inside --network private --subnet-range 10.0.0.0/24 --dns-nameserver 9.9.9.9"
    )
    port = await openstack.json("port create --network private --host hv1 --fixed-ip ip-address=10.0.0.9 web0")
    assert port["fixed_ips"] == [{"subnet_id": subnet["id"], "ip_address": "10.0.0.9"}]
    assert (port["status"], port["binding_vif_type"]) == ("DOWN", "ovs")

    row = openstack.nb.store.find(nb.LogicalSwitchPort.name, port["id"])
    assert row.addresses == {f"{port['mac_address']} 10.0.0.9"}
    assert row.options["requested-chassis"] == "hv1"
    assert row.dhcpv4_options.options["dns_server"] == "{9.9.9.9}"
    transaction = openstack.nb.transaction()
    transaction.update(row, {"up": True})
    transaction.commit()
    listed = await openstack.json("port list --network private --long")
    assert [(p["Name"], p["Status"]) for p in listed] == [("web0", "ACTIVE")]

    await openstack("network set --name renamed private")
    status, _, err = await openstack.run("network delete renamed")
    assert status == 1
    assert "There are one or more ports still in use on the network." in err
    status, _, err = await openstack.run("port create --network renamed --fixed-ip ip-address=10.0.0.9 web1")
    assert status == 1
    assert "409" in err
    await openstack("port delete web0")
    await openstack("network delete renamed")
    assert await openstack.json("network list") == []
    assert openstack.nb.store.table(nb.LogicalSwitch).all() == []
    assert network["mtu"] == 1442


async def test_security_groups_and_rules(openstack):
    group = await openstack.json("security group create web --description x")
    rule = await openstack.json("security group rule create --proto tcp --dst-port 22 web")
    await openstack("security group rule create --proto icmp --remote-ip 192.0.2.0/24 web")
    listed = await openstack.json("security group rule list web")
    assert {(r["IP Protocol"], r["Port Range"], r["Direction"]) for r in listed} >= {
        ("tcp", "22:22", "ingress"),
        ("icmp", "", "ingress"),
    }
    acl = openstack.nb.store.find(nb.PortGroup.name, "pg_" + group["id"].replace("-", "_")).acls
    assert any(a.match.endswith(" && tcp && tcp.dst == 22") for a in acl)
    await openstack(f"security group rule delete {rule['id']}")
    shown = await openstack.json("security group show web")
    assert (shown["description"], len(shown["rules"])) == ("x", 3)
    assert {g["Name"] for g in await openstack.json("security group list")} == {"default", "web"}
    await openstack("security group delete web")
    status, _, err = await openstack.run("security group show web")
    assert status == 1
    assert "No SecurityGroup found for web" in err


async def test_routers_and_floating_ips(openstack):
    """The whole routed scene, as people type it."""
    await openstack("network create private")
    await openstack("subnet create inside --network private --subnet-range 10.0.0.0/24")
    await openstack(
        "network create public --external --provider-network-type flat --provider-physical-network public"
    )
    await openstack("subnet create outside --network public --subnet-range 203.0.113.0/24 --no-dhcp")
    router = await openstack.json("router create r")
    await openstack("router add subnet r inside")
    await openstack("router set --external-gateway public r")
    port = await openstack.json("port create --network private web0")
    floating = await openstack.json("floating ip create public --port web0")
    assert (floating["fixed_ip_address"], floating["status"]) == ("10.0.0.2", "ACTIVE")
    row = openstack.nb.store.find(nb.LogicalRouter.name, f"neutron-{router['id']}")
    assert {(n.type, n.external_ip, n.logical_ip) for n in row.nat} == {
        ("snat", "203.0.113.2", "10.0.0.0/24"),
        ("dnat_and_snat", floating["floating_ip_address"], "10.0.0.2"),
    }
    status, _, err = await openstack.run("router remove subnet r inside")
    assert status == 1
    assert "required by one or more floating IPs" in err
    await openstack(f"floating ip delete {floating['id']}")
    await openstack(f"port delete {port['id']}")
    await openstack("router unset --external-gateway r")
    await openstack("router remove subnet r inside")
    await openstack("router delete r")
    assert openstack.nb.store.table(nb.LogicalRouter).all() == []
