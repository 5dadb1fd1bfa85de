"""What we compile from Cloud, read by the original: its northd translates it, its trace decides about packets."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

import pytest

from ovenbird.model import cloud, sb
from ovenbird.ovsdb.server import Server
from support.cloud.world import World

MAC1, MAC2 = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"


class Original:
    """Debian's northd over our two databases."""

    def __init__(self, world, directory):
        self.world = world
        self.directory = directory
        self.server = Server()
        self.server.add(world.nb)
        self.southbound = world.sb
        self.server.add(self.southbound)
        self.at = f"unix:{directory}/db"

    async def start(self):
        await self.server.listen(f"p{self.at}")
        self.process = await asyncio.create_subprocess_exec(
            "ovn-northd", f"--ovnnb-db={self.at}", f"--ovnsb-db={self.at}",
            f"--unixctl={self.directory}/ctl", f"--log-file={self.directory}/log", "-vconsole:off",
        )  # fmt: skip

    async def stop(self):
        self.process.terminate()
        await self.process.wait()
        await self.server.close()

    async def run(self, *command):
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0, command
        return out.decode()

    async def settled(self):
        await self.run("ovn-nbctl", f"--db={self.at}", "--wait=sb", "--timeout=20", "sync")

    async def trace(self, port, microflow):
        """Return what becomes of a packet that a port sends on a new connection."""
        return await self.trace_from(port.network, port.uuid, microflow)

    async def trace_from(self, network, port, microflow):
        """The same for a port that is given by its name in Northbound."""
        network = f"neutron-{network.uuid}"
        flow = f'inport == "{port}" && {microflow}'
        return await self.run(
            "prlimit", "--as=2000000000", "ovn-trace", f"--db={self.at}", "--ct=new", "--minimal", network, flow
        )

    def complaints(self):
        return [
            line for line in (self.directory / "log").read_text().splitlines() if "|WARN|" in line or "|ERR|" in line
        ]


@pytest.fixture
async def original():
    missing = [name for name in ("ovn-northd", "ovn-nbctl", "ovn-trace") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    directory = Path(tempfile.mkdtemp(prefix="ob"))  # short: unix sockets' paths have a limit
    made = Original(World(), directory)
    await made.start()
    yield made
    await made.stop()
    shutil.rmtree(directory)


def reaches(port):
    """Return what a trace says of a packet that a port gets; ovn-trace shortens names that are UUIDs."""
    return f'output("{port.uuid[:6]}'


def packet(source, target, protocol):
    (mac1, ip1), (mac2, ip2) = source, target
    return (
        f"eth.src == {mac1} && eth.dst == {mac2} && ip4.src == {ip1} && ip4.dst == {ip2} && ip.ttl == 64 && {protocol}"
    )


async def test_security_groups_decide_about_packets(original):
    world = original.world
    network = world.network()
    subnet = world.subnet(network)
    web, clients = world.group(name="web"), world.group(name="clients")
    world.rule(web, protocol="tcp", port_range_min=22, port_range_max=22)
    world.rule(web, protocol="udp", port_range_min=1000, port_range_max=2000, remote_ip_prefix="10.0.0.0/28")
    world.rule(web, protocol="sctp", remote_group=clients.uuid)
    world.rule(clients, direction="egress")
    sender = world.port(network, [(subnet, "10.0.0.5")], [clients], mac_address=MAC1)
    receiver = world.port(network, [(subnet, "10.0.0.6")], [web], mac_address=MAC2)
    world.settle()
    await original.settled()
    there, back = ((MAC1, "10.0.0.5"), (MAC2, "10.0.0.6")), ((MAC2, "10.0.0.6"), (MAC1, "10.0.0.5"))
    output = reaches(receiver)
    for protocol, passes in [
        ("tcp && tcp.dst == 22", True),
        ("tcp && tcp.dst == 80", False),
        ("udp && udp.dst == 1500", True),
        ("udp && udp.dst == 2001", False),
        ("sctp && sctp.dst == 5", True),
        ("icmp4 && icmp4.type == 8", False),
    ]:
        assert (output in await original.trace(sender, packet(*there, protocol))) == passes, protocol
    assert reaches(sender) not in await original.trace(receiver, packet(*back, "tcp && tcp.dst == 22"))
    spoofed = packet((MAC1, "10.0.0.7"), (MAC2, "10.0.0.6"), "tcp && tcp.dst == 22")
    assert output not in await original.trace(sender, spoofed)
    assert original.complaints() == []


async def test_dhcp_is_answered_with_what_the_subnet_says(original):
    world = original.world
    network = world.network()
    routes = frozenset(["10.9.0.0/16 10.0.0.9"])
    subnet = world.subnet(network, dns_nameservers={0: "9.9.9.9", 1: "1.1.1.1"}, host_routes=routes)
    group = world.group()
    world.rule(group, direction="egress")
    extra = {"bootfile-name": "pxe.0", "server-ip-address": "10.0.0.7", "ntp-server": "10.0.0.3"}
    port = world.port(network, [(subnet, "10.0.0.5")], [group], dhcpv4_options=extra)
    world.settle()
    await original.settled()
    [action] = {f.actions for f in original.southbound.store.table(sb.LogicalFlow) if "put_dhcp_opts" in f.actions}
    for option in (
        "offerip = 10.0.0.5",
        "dns_server = {9.9.9.9, 1.1.1.1}",
        "classless_static_route = {10.9.0.0/16,10.0.0.9, 0.0.0.0/0,10.0.0.1}",
        "router = 10.0.0.1",
        'bootfile_name = "pxe.0"',
        "ntp_server = 10.0.0.3",
        "mtu = 1442",
    ):
        assert option in action
    request = (
        f"eth.src == {MAC1} && eth.dst == ff:ff:ff:ff:ff:ff && ip4.src == 0.0.0.0 && ip4.dst == 255.255.255.255 && "
        f"ip.ttl == 64 && udp.src == 68 && udp.dst == 67"
    )
    assert reaches(port) in await original.trace(port, request)
    assert original.complaints() == []


ROUTER1, ROUTER2, OUTER, FLOATING, PEER = [f"fa:16:3e:00:01:{i:02x}" for i in range(5)]


async def test_routers_route_and_translate(original):
    world = original.world
    world.chassis("gw1")
    network, other, (outside, outer) = world.network(), world.network(), world.outside()
    subnet, second = world.subnet(network), world.subnet(other, cidr="10.1.0.0/24", gateway_ip="10.1.0.1")
    router = world.router()
    inside = world.interface(router, [(subnet, "10.0.0.1")], mac_address=ROUTER1)
    world.interface(router, [(second, "10.1.0.1")], mac_address=ROUTER2)
    gateway = world.gateway(router, [(outer, "203.0.113.9")], mac_address=OUTER)
    open_to_all = {"port_security_enabled": False}
    one = world.port(network, [(subnet, "10.0.0.5")], mac_address=MAC1, **open_to_all)
    two = world.port(other, [(second, "10.1.0.6")], mac_address=MAC2, **open_to_all)
    world.floating(inside, gateway, two, "203.0.113.50", mac_address=FLOATING)
    world.settle()
    await original.settled()
    name = f"lrp-{gateway.port.uuid}"
    datapath = world.sb.store.table(sb.PortBinding).find(sb.PortBinding.logical_port, name).datapath.uuid
    transaction = world.sb.transaction()
    neighbour = {"logical_port": name, "ip": "203.0.113.1", "mac": PEER, "datapath": datapath}
    transaction.insert(sb.MACBinding, neighbour)
    transaction.commit()
    tcp = "tcp && tcp.dst == 22"

    east_west = await original.trace(one, packet((MAC1, "10.0.0.5"), (ROUTER1, "10.1.0.6"), tcp))
    assert reaches(two) in east_west
    out = await original.trace(one, packet((MAC1, "10.0.0.5"), (ROUTER1, "198.51.100.9"), tcp))
    [segment] = outside.referrers(cloud.NetworkSegment.network)
    assert "ip4.src=203.0.113.9" in out
    assert "provnet-" in out
    inward = packet((PEER, "198.51.100.9"), (OUTER, "203.0.113.50"), tcp)
    assert reaches(two) in await original.trace_from(outside, f"provnet-{segment.uuid}", inward)
    missing = packet((PEER, "198.51.100.9"), (OUTER, "203.0.113.51"), tcp)
    assert reaches(two) not in await original.trace_from(outside, f"provnet-{segment.uuid}", missing)
    assert original.complaints() == []


async def test_a_router_to_a_tunnelled_network_translates_on_its_one_chassis(original):
    world = original.world
    world.chassis("gw1", mappings="")
    network, outside = world.network(), world.network(external=True)
    world.add(cloud.NetworkSegment, network=outside.uuid, network_type="geneve", segmentation_id=5)
    subnet, outer = world.subnet(network), world.subnet(outside, cidr="203.0.113.0/24", gateway_ip="203.0.113.1")
    router = world.router()
    inside = world.interface(router, [(subnet, "10.0.0.1")], mac_address=ROUTER1)
    gateway = world.gateway(router, [(outer, "203.0.113.9")], mac_address=OUTER)
    open_to_all = {"port_security_enabled": False}
    one = world.port(network, [(subnet, "10.0.0.5")], mac_address=MAC1, **open_to_all)
    two = world.port(network, [(subnet, "10.0.0.6")], mac_address=MAC2, **open_to_all)
    host = world.port(outside, [(outer, "203.0.113.77")], mac_address=PEER, **open_to_all)
    world.floating(inside, gateway, two, "203.0.113.50", mac_address=FLOATING)
    world.settle()
    await original.settled()
    bound = world.sb.store.table(sb.PortBinding).find(sb.PortBinding.logical_port, gateway.port.uuid)
    assert (bound.type, bound.options["l3gateway-chassis"]) == ("l3gateway", "gw1")
    out = await original.trace(one, packet((MAC1, "10.0.0.5"), (ROUTER1, "203.0.113.77"), "udp && udp.dst == 5"))
    assert "ip4.src=203.0.113.9" in out
    assert reaches(host) in out
    flows = {(flow.match, flow.actions) for flow in world.sb.store.table(sb.LogicalFlow).all()}
    assert any("203.0.113.50" in match and "ct_dnat(10.0.0.6)" in actions for match, actions in flows)
    assert original.complaints() == []


async def test_kinds_of_ports_and_their_tags(original):
    world = original.world
    network = world.network()
    wire = {"network_type": "vlan", "physical_network": "p", "segmentation_id": 7}
    segment = world.add(cloud.NetworkSegment, network=network.uuid, **wire)
    subnet = world.subnet(network)
    vip = world.port(network, [(subnet, "10.0.0.9")], mac_address=FLOATING)
    parent = world.port(network, mac_address=MAC1, allowed_address_pairs=frozenset([f"{MAC1} 10.0.0.9"]))
    profile = f'{{"parent_name": "{parent.uuid}", "tag": %d}}'
    fixed = world.port(network, mac_address=MAC2, binding_profile=profile % 42)
    chosen = world.port(network, mac_address=PEER, binding_profile=profile % 0)
    world.chassis("gw1", mappings="p:br-p")
    metal = world.port(network, [(subnet, "10.0.0.7")], mac_address=OUTER, vnic_type="baremetal")
    world.settle()
    await original.settled()
    rows = {row.logical_port: row for row in world.sb.store.table(sb.PortBinding).all()}
    assert rows[f"provnet-{segment.uuid}"].tag == 7
    shared = rows[vip.uuid]
    assert (shared.type, shared.options["virtual-parents"]) == ("virtual", parent.uuid)
    assert (rows[fixed.uuid].parent_port, rows[fixed.uuid].tag) == (parent.uuid, 42)
    assert rows[chosen.uuid].tag not in (None, 0, 42)
    group = rows[metal.uuid].ha_chassis_group
    assert rows[metal.uuid].type == "external"
    assert [member.chassis.name for member in group.ha_chassis] == ["gw1"]
    assert world.settle() == 0  # the tags that northd writes to Northbound are left alone
    assert original.complaints() == []


async def test_default_routes_through_several_gateways_are_watched(original):
    world = original.world
    world.chassis("hv1", "one:br-1,two:br-2")
    inner = world.network()
    inner_subnet = world.subnet(inner)
    router = world.router(enable_default_route_ecmp=True)
    world.interface(router, [(inner_subnet, "10.0.0.1")])
    for place, (physical, block) in enumerate((("one", "203.0.113"), ("two", "198.51.100"))):
        network = world.network(external=True, name=physical)
        world.add(cloud.NetworkSegment, network=network.uuid, network_type="flat", physical_network=physical)
        subnet = world.subnet(network, cidr=f"{block}.0/24", gateway_ip=f"{block}.1")
        world.gateway(router, [(subnet, f"{block}.9")], place=place, mac_address=f"fa:16:3e:00:01:0{place}")
    world.settle()
    await original.settled()
    flows = list(original.southbound.store.table(sb.LogicalFlow))
    routed = [flow.actions for flow in flows if flow.external_ids["stage-name"] == "lr_in_ip_routing"]
    assert any("select(" in actions for actions in routed)
    sources = [flow.actions for flow in flows if "ct_snat(" in flow.actions]
    assert all(any(f"{block}.9" in actions for actions in sources) for block in ("203.0.113", "198.51.100"))
    world.change(router, enable_default_route_bfd=True)
    world.settle()
    await original.settled()
    assert {row.dst_ip for row in original.southbound.store.table(sb.BFD)} == {"203.0.113.1", "198.51.100.1"}
    assert original.complaints() == []
