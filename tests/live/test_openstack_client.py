"""The real ``openstack`` client, unchanged, against the API on a free loopback port, down to Northbound."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from ovenbird.api.http.service import ApiService
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
        self.engine = compiler(self.cloud.store, northbound=self.nb.store, southbound=self.sb.store)
        self.cloud.on_change(lambda _commit: self.compile())
        self.compile()
        self.api = ApiService(self.cloud, northbound=self.nb, southbound=self.sb, port=0)

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

    def chassis(self, name, **other_config):
        """Register a chassis as its controller does; the host is named as it is."""
        transaction = self.sb.transaction()
        number = len(self.sb.store.table(sb.Chassis)) + 1
        encap = transaction.insert(sb.Encap, {"type": "geneve", "ip": f"192.0.2.{number}", "chassis_name": name})
        values = {"name": name, "hostname": name, "encaps": frozenset((encap,)), "other_config": other_config}
        row = transaction.insert(sb.Chassis, values)
        transaction.insert(sb.ChassisPrivate, {"name": name, "chassis": row})
        transaction.commit()
        self.compile()

    async def several(self, *commands):
        """Run commands one after the other as lines of one interactive client, which saves its start."""
        process = await asyncio.create_subprocess_exec(
            find_client(), "--os-auth-type", "none", "--os-endpoint", self.api.url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home), "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        _, err = await process.communicate("\n".join([*commands, "quit"]).encode() + b"\n")
        assert err == b"", err.decode()

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
    openstack.chassis("hv1")
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
    """The whole routed topology, as people type it."""
    openstack.chassis("gw1", **GATEWAY)
    await openstack("network create private")
    await openstack("subnet create inside --network private --subnet-range 10.0.0.0/24")
    await openstack("network create public --external --provider-network-type flat --provider-physical-network public")
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


async def test_trunks(openstack):
    """A trunk as people type it, down to the sub-ports in Northbound."""
    openstack.chassis("hv1")
    for name, block in (("plain", "10.0.0.0/24"), ("tagged", "10.0.1.0/24")):
        await openstack(f"network create {name}")
        await openstack(f"subnet create {name} --network {name} --subnet-range {block}")
    parent = await openstack.json("port create --network plain parent")
    first, second = [await openstack.json(f"port create --network tagged {name}") for name in ("one", "two")]
    made = await openstack.json(
        "network trunk create t --parent-port parent --subport port=one,segmentation-type=vlan,segmentation-id=5"
    )
    assert (made["port_id"], made["status"]) == (parent["id"], "ACTIVE")
    await openstack("network trunk set t --subport port=two,segmentation-type=vlan,segmentation-id=6 --description d")
    subports = await openstack.json("network subport list --trunk t")
    assert [(s["Port"], s["Segmentation ID"]) for s in subports] == [(first["id"], 5), (second["id"], 6)]
    row = openstack.nb.store.find(nb.LogicalSwitchPort.name, second["id"])
    assert (row.parent_name, row.tag_request) == (parent["id"], 6)
    assert row.external_ids["neutron:device_owner"] == "trunk:subport"
    shown = await openstack.json("port show parent")
    assert [s["mac_address"] for s in shown["trunk_details"]["sub_ports"]] == [
        first["mac_address"],
        second["mac_address"],
    ]
    status, _, err = await openstack.run("port delete two")
    assert status == 1
    assert "is currently a subport for trunk" in err
    await openstack("network trunk unset t --subport two")
    assert row.parent_name is None
    assert [t["Name"] for t in await openstack.json("network trunk list --long")] == ["t"]
    await openstack("network trunk delete t")
    for name in ("parent", "one", "two"):
        await openstack(f"port delete {name}")
    for name in ("plain", "tagged"):
        await openstack(f"network delete {name}")


GATEWAY = {"ovn-bridge-mappings": "public:br-ex", "ovn-cms-options": "enable-chassis-as-gw,availability-zones=az1:az2"}


async def test_agents_and_availability_zones(openstack):
    openstack.chassis("gw1", **GATEWAY)
    openstack.chassis("hv1")
    agents = {a["Host"]: a for a in await openstack.json("network agent list")}
    assert {host: (a["Agent Type"], a["Alive"], a["State"]) for host, a in agents.items()} == {
        "gw1": ("OVN Controller Gateway agent", True, True),
        "hv1": ("OVN Controller agent", True, True),
    }
    await openstack.several(
        "network agent set --description rack1 hv1",
        "network create --availability-zone-hint az2 near",
        "router create --availability-zone-hint az1 edge",
    )
    shown = await openstack.json("network agent show hv1")
    assert (shown["description"], shown["binary"]) == ("rack1", "ovn-controller")
    status, _, err = await openstack.run("network agent delete hv1")
    assert status == 1
    assert "is alive" in err
    zones = await openstack.json("availability zone list --network --long")
    assert {(z["Zone Name"], z["Zone Resource"], z["Zone Status"]) for z in zones} == {
        (name, resource, "available") for name in ("az1", "az2") for resource in ("network", "router")
    }
    assert (await openstack.json("network show near"))["availability_zone_hints"] == ["az2"]
    assert (await openstack.json("router show edge"))["availability_zones"] == ["az1"]
    status, _, err = await openstack.run("router create --availability-zone-hint nowhere no")
    assert status == 1
    assert "AvailabilityZone nowhere could not be found" in err


@pytest.fixture
async def routed(openstack):
    """A router between two networks and an external one."""
    openstack.chassis("gw1", **GATEWAY)
    await openstack.several(
        "network create private",
        "subnet create inside --network private --subnet-range 10.0.0.0/24",
        "network create other",
        "subnet create across --network other --subnet-range 10.1.0.0/24",
        "network create public --external --provider-network-type flat --provider-physical-network public",
        "subnet create outside --network public --subnet-range 203.0.113.0/24 --no-dhcp",
        "router create r",
        "router add subnet r inside",
        "port create --network private web0 --fixed-ip ip-address=10.0.0.9",
    )
    return openstack


def routes(shown):
    return {(route["destination"], route["nexthop"]) for route in shown["routes"]}


async def test_a_routers_routes_and_gateway(routed):
    await routed.several(
        "router set r --route destination=10.8.0.0/16,gateway=10.0.0.7"
        " --route destination=10.9.0.0/16,gateway=10.0.0.8",
        "router set r --external-gateway public --fixed-ip subnet=outside,ip-address=203.0.113.50 --disable-snat",
        "router add route r --route destination=10.7.0.0/16,gateway=10.0.0.6",
        "router remove route r --route destination=10.9.0.0/16,gateway=10.0.0.8",
    )
    shown = await routed.json("router show r")
    assert routes(shown) == {("10.8.0.0/16", "10.0.0.7"), ("10.7.0.0/16", "10.0.0.6")}
    outside = shown["external_gateway_info"]
    assert [f["ip_address"] for f in outside["external_fixed_ips"]] == ["203.0.113.50"]
    assert outside["enable_snat"] is False
    row = routed.nb.store.find(nb.LogicalRouter.name, f"neutron-{shown['id']}")
    assert row.nat == []
    assert {(r.ip_prefix, r.nexthop) for r in row.static_routes} == routes(shown) | {("0.0.0.0/0", "203.0.113.1")}
    [port] = [p for p in row.ports if p.gateway_chassis]
    assert [g.chassis_name for g in port.gateway_chassis] == ["gw1"]
    await routed.several(
        "router set r --external-gateway public --enable-snat",
        "router unset r --route destination=10.8.0.0/16,gateway=10.0.0.7",
        "router set r --disable --name renamed --description x --tag blue",
    )
    shown = await routed.json("router show renamed")
    assert shown["external_gateway_info"]["enable_snat"] is True
    assert (shown["admin_state_up"], shown["tags"], routes(shown)) == (
        False, ["blue"], {("10.7.0.0/16", "10.0.0.6")},
    )  # fmt: skip
    assert {(n.type, n.external_ip) for n in row.nat} == {("snat", "203.0.113.50")}
    assert row.enabled is False


async def test_a_routers_interfaces(routed):
    await routed.several(
        "port create --network other leg --fixed-ip ip-address=10.1.0.77",
        "router add port r leg",
    )
    listed = await routed.json("port list --router r")
    assert sorted(f["ip_address"] for p in listed for f in p["Fixed IP Addresses"]) == ["10.0.0.1", "10.1.0.77"]
    await routed.several("router remove port r leg", "router add subnet r across", "router remove subnet r inside")
    listed = await routed.json("port list --router r --long")
    assert [(p["Fixed IP Addresses"][0]["ip_address"], p["Device Owner"]) for p in listed] == [
        ("10.1.0.1", "network:router_interface")
    ]


async def test_a_floating_ip_moves(routed):
    await routed.several(
        "port create --network private web1 --fixed-ip ip-address=10.0.0.10 --fixed-ip ip-address=10.0.0.11",
        "router set r --external-gateway public",
        "floating ip create public --floating-ip-address 203.0.113.100 --description one --tag green",
        "floating ip set 203.0.113.100 --port web0",
    )
    shown = await routed.json("floating ip show 203.0.113.100")
    assert (shown["fixed_ip_address"], shown["status"], shown["tags"]) == ("10.0.0.9", "ACTIVE", ["green"])
    await routed.several(
        "floating ip unset 203.0.113.100 --port",
        "floating ip set 203.0.113.100 --port web1 --fixed-ip-address 10.0.0.11",
    )
    [listed] = await routed.json("floating ip list --router r --long")
    assert (listed["Floating IP Address"], listed["Fixed IP Address"], listed["Description"]) == (
        "203.0.113.100", "10.0.0.11", "one",
    )  # fmt: skip
    [row] = [n for n in routed.nb.store.table(nb.NAT) if n.type == "dnat_and_snat"]
    assert (row.external_ip, row.logical_ip) == ("203.0.113.100", "10.0.0.11")
    await routed.several("floating ip unset 203.0.113.100 --port")
    assert [n.type for n in routed.nb.store.table(nb.NAT)] == ["snat"]
    assert (await routed.json("floating ip show 203.0.113.100"))["status"] == "DOWN"
    [web1] = [p["ID"] for p in await routed.json("port list --network private") if p["Name"] == "web1"]
    await routed.several(
        f"floating ip port forwarding create 203.0.113.100 --port {web1} --internal-ip-address 10.0.0.11 "
        "--internal-protocol-port 22 --external-protocol-port 2222 --protocol tcp --description ssh",
    )
    [listed] = await routed.json("floating ip port forwarding list 203.0.113.100")
    assert (listed["Internal IP Address"], listed["External Port"], listed["Description"]) == ("10.0.0.11", 2222, "ssh")
    [row] = routed.nb.store.table(nb.LoadBalancer)
    assert row.vips == {"203.0.113.100:2222": "10.0.0.11:22"}
    await routed.several(
        f"floating ip port forwarding set 203.0.113.100 {listed['ID']} --external-protocol-port 2223",
        f"floating ip port forwarding show 203.0.113.100 {listed['ID']}",
    )
    assert row.vips == {"203.0.113.100:2223": "10.0.0.11:22"}
    await routed.several(
        f"floating ip port forwarding create 203.0.113.100 --port {web1} --internal-ip-address 10.0.0.11 "
        "--internal-protocol-port 8000:8001 --external-protocol-port 9000:9001 --protocol tcp",
    )
    ranges = [one for one in await routed.json("floating ip port forwarding list 203.0.113.100") if one != listed]
    vips = [row.vips for row in routed.nb.store.table(nb.LoadBalancer)]
    assert all({f"203.0.113.100:900{i}": f"10.0.0.11:800{i}"} in vips for i in (0, 1))
    for one in ranges:
        await routed.several(f"floating ip port forwarding delete 203.0.113.100 {one['ID']}")
    assert not list(routed.nb.store.table(nb.LoadBalancer))


async def test_attributes_of_ports(openstack):
    openstack.chassis("hv1")
    await openstack.several(
        "network create --disable-port-security --dns-domain example.org. --mtu 1400 plain",
        "subnet create v4 --network plain --subnet-range 10.0.0.0/24",
        "subnet create v6 --network plain --ip-version 6 --subnet-range 2001:db8::/64 --ipv6-ra-mode slaac"
        " --ipv6-address-mode slaac --dns-nameserver 2001:db8::53",
        "port create --network plain --mac-address fa:16:3e:00:00:01 --enable-port-security --dns-name web --host hv1"
        " --allowed-address ip-address=10.0.0.200,mac-address=fa:16:3e:00:00:aa --vnic-type normal"
        " --extra-dhcp-option name=mtu,value=1300 --binding-profile colour=red --tag t1"
        " --device-owner compute:nova web0",
        "port create --network plain open0",
    )
    port = await openstack.json("port show web0")
    assert {f["ip_address"] for f in port["fixed_ips"]} == {"10.0.0.2", "2001:db8::f816:3eff:fe00:1"}
    assert port["allowed_address_pairs"] == [{"ip_address": "10.0.0.200", "mac_address": "fa:16:3e:00:00:aa"}]
    assert [(o["opt_name"], o["opt_value"]) for o in port["extra_dhcp_opts"]] == [("mtu", "1300")]
    assert (port["binding_profile"], port["binding_vif_type"]) == ({"colour": "red"}, "ovs")
    assert {a["fqdn"] for a in port["dns_assignment"]} == {"web.example.org."}
    assert (await openstack.json("port show open0"))["port_security_enabled"] is False
    row = openstack.nb.store.find(nb.LogicalSwitchPort.name, port["id"])
    assert row.dhcpv4_options.options["mtu"] == "1300"
    assert row.port_security == {
        "fa:16:3e:00:00:01 10.0.0.2 2001:db8::f816:3eff:fe00:1", "fa:16:3e:00:00:aa 10.0.0.200",
    }  # fmt: skip
    await openstack.several(
        "port set web0 --no-allowed-address --dns-name www --name www0",
        "port unset www0 --host --binding-profile colour --tag t1",
    )
    port = await openstack.json("port show www0")
    assert (port["allowed_address_pairs"], port["binding_vif_type"], port["tags"]) == ([], "unbound", [])
    assert (port["dns_name"], port["binding_profile"]) == ("www", {})


async def test_tags_and_address_groups(openstack):
    await openstack.several(
        "network create --tag red --tag blue one",
        "network create --tag blue two",
        "network create three",
        "network set --tag green two",
        "network unset --tag red one",
        "address group create office --address 192.0.2.0/24 --address 2001:db8::/32",
        "address group set office --address 198.51.100.7/32",
        "address group unset office --address 192.0.2.0/24",
        "security group create web",
        "security group rule create web --protocol tcp --dst-port 443 --remote-address-group office",
    )
    for query, names in [
        ("--tags blue", {"one", "two"}),
        ("--tags blue,green", {"two"}),
        ("--any-tags red,green", {"two"}),
        ("--not-tags blue", {"three"}),
    ]:
        assert {n["Name"] for n in await openstack.json(f"network list {query}")} == names, query
    group = await openstack.json("address group show office")
    assert sorted(group["addresses"]) == ["198.51.100.7/32", "2001:db8::/32"]
    sets = {s.name: s.addresses for s in openstack.nb.store.table(nb.AddressSet)}
    assert sets["ag_" + group["id"].replace("-", "_") + "_ip4"] == {"198.51.100.7/32"}


async def test_sharing_and_address_scopes(openstack):
    await openstack.several(
        "network create office",
        "network rbac create --type network --action access_as_shared --target-all-projects office",
        "address scope create --ip-version 4 campus",
        "address scope set --name grounds campus",
        "subnet pool create --pool-prefix 10.0.0.0/16 --address-scope grounds lawn",
        "subnet create --network office --subnet-pool lawn --prefix-length 24 first",
        "port create --network office desk",
        "security group create web",
        "network rbac create --type security_group --action access_as_shared --target-all-projects web",
    )
    assert (await openstack.json("network show office"))["shared"] is True
    scope = await openstack.json("address scope show grounds")
    desk = await openstack.json("port show desk")
    ids = openstack.nb.store.find(nb.LogicalSwitchPort.name, desk["id"]).external_ids
    assert ids["neutron:subnet_pool_addr_scope4"] == scope["id"]
    assert (await openstack.json("network show office"))["ipv4_address_scope"] == scope["id"]
    policies = await openstack.json("network rbac list --type network")
    assert [policy["Object Type"] for policy in policies] == ["network"]
    shown = await openstack.json(f"network rbac show {policies[0]['ID']}")
    assert (shown["action"], shown["target_project_id"]) == ("access_as_shared", "*")
    await openstack.several(
        f"network rbac delete {policies[0]['ID']}",
        "address scope list",
        "port delete desk",
        "subnet delete first",
        "subnet pool delete lawn",
        "address scope delete grounds",
    )
    assert (await openstack.json("network show office"))["shared"] is False


async def test_qos_policies(routed):
    policy = await routed.json("network qos policy create gold --share --description best")
    rules = {
        ("bandwidth-limit", "egress"): "--max-kbps 20000 --max-burst-kbits 4000 --egress",
        ("bandwidth-limit", "ingress"): "--max-kbps 50000 --ingress",
        ("dscp-marking", ""): "--dscp-mark 26",
        ("minimum-bandwidth", "egress"): "--min-kbps 1000 --egress",
    }
    await routed.several(*(f"network qos rule create gold --type {kind} {more}" for (kind, _), more in rules.items()))
    listed = await routed.json("network qos rule list gold")
    assert {(r["Type"], r["Max Kbps"], r["Min Kbps"], r["DSCP mark"], r["Direction"]) for r in listed} == {
        ("bandwidth_limit", 20000, "", "", "egress"),
        ("bandwidth_limit", 50000, "", "", "ingress"),
        ("minimum_bandwidth", "", 1000, "", "egress"),
        ("dscp_marking", "", "", 26, ""),
    }
    marking = next(r["ID"] for r in listed if r["Type"] == "dscp_marking")
    await routed.several(
        f"network qos rule set gold {marking} --dscp-mark 10", f"network qos rule show gold {marking}",
        "network qos policy set gold --default", "network create more", "network qos policy set gold --no-default",
        "port set --qos-policy gold web0", "floating ip create public --qos-policy gold",
        "router set r --external-gateway public --qos-policy gold",
    )  # fmt: skip
    assert {one["Type"] for one in await routed.json("network qos rule type list")} == {
        "bandwidth_limit", "dscp_marking", "minimum_bandwidth"
    }  # fmt: skip
    assert (await routed.json("network qos rule type show dscp_marking"))["drivers"][0]["name"] == "OVNQosDriver"
    assert (await routed.json("network show more"))["qos_policy_id"] == policy["id"]
    web0 = await routed.json("port show web0")
    assert web0["qos_policy_id"] == policy["id"]
    found = {(row.direction, row.match): (row.action, row.bandwidth) for row in routed.nb.store.table(nb.QoS)}
    assert found["from-lport", f'inport == "{web0["id"]}"'] == ({"dscp": 10}, {"rate": 20000, "burst": 4000})
    assert found["to-lport", f'outport == "{web0["id"]}"'] == ({}, {"rate": 50000})
    assert len(found) == 4  # and those of the gateway: the floating IP is nobody's
    status, _, err = await routed.run("network qos policy delete gold")
    assert (status, "is used by port" in err) == (1, True)
    await routed.several(
        "port unset --qos-policy web0", "router unset --qos-policy r", "network delete more",
        f"floating ip unset --qos-policy {(await routed.json('floating ip list'))[0]['ID']}",
        f"network qos rule delete gold {marking}", "network qos policy delete gold",
    )  # fmt: skip
    assert await routed.json("network qos policy list") == []
    assert routed.nb.store.table(nb.QoS).all() == []


async def test_tap_mirrors(openstack):
    await openstack.several(
        "network create private",
        "port create --network private web0",
        "tap mirror create --name copies --port web0 --directions IN=101 --directions OUT=102"
        " --remote-ip 192.0.2.9 --mirror-type erspanv1",
        "tap mirror update --name copy copies",
    )
    shown = await openstack.json("tap mirror show copy")
    assert (shown["directions"], shown["mirror_type"]) == ({"IN": 101, "OUT": 102}, "erspanv1")
    port = openstack.nb.store.find(nb.LogicalSwitchPort.name, shown["port_id"])
    assert {(row.filter, row.index, row.sink) for row in port.mirror_rules} == {
        ("to-lport", 101, "192.0.2.9"),
        ("from-lport", 102, "192.0.2.9"),
    }
    listed = await openstack.json("tap mirror list")
    assert [one["Name"] for one in listed] == ["copy"]
    await openstack("tap mirror delete copy")
    assert port.mirror_rules == []


async def test_templates_of_security_group_rules(openstack):
    template = "default security group rule"
    assert len(await openstack.json(f"{template} list")) == 4
    ssh = await openstack.json(f"{template} create --ingress --protocol tcp --dst-port 22 --for-custom-sg")
    assert (ssh["used_in_default_sg"], ssh["used_in_non_default_sg"]) == (False, True)
    assert (await openstack.json(f"{template} show {ssh['id']}"))["port_range_min"] == 22
    await openstack("security group create web")
    rules = await openstack.json("security group rule list web")
    assert sorted(rule["Port Range"] for rule in rules) == ["", "", "22:22"]
    await openstack(f"{template} delete {ssh['id']}")
    assert len(await openstack.json(f"{template} list")) == 4
    assert len(await openstack.json("security group rule list web")) == 3


async def test_the_default_external_network(openstack):
    await openstack("network create --external --default outside")
    await openstack("network create --external other")
    status, _, err = await openstack.run("network set --default other")
    assert status == 1
    assert "A default external network already exists" in err
    await openstack("network set --no-default --external outside")
    await openstack("network set --default --external other")
    assert (await openstack.json("network show other"))["is_default"] is True
