"""The flows that ours installs, against those that the original's controller installed for the same network."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from ovenbird.controller.controller import Controller
from ovenbird.controller.local.local_store import Attachment, Progress
from ovenbird.controller.rules import SWITCH
from ovenbird.model.sb import PortBinding
from support.controller.site import (
    NETWORK,
    PORTS,
    Site,
    difference,
    install,
    installed_by_the_original,
    one_chassis,
    physical,
    settled,
)
from support.waiting import until_async

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.transaction import Transaction

ROUTED = r"""
ls-add ls1
ls-add ls2
ls-add ext
lr-add lr
lsp-add ls1 v1 -- lsp-set-addresses v1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add ls1 v3 -- lsp-set-addresses v3 "0a:00:00:00:00:03 10.0.0.13"
lsp-add ls2 v2 -- lsp-set-addresses v2 "0a:00:00:00:00:02 10.1.0.12"
lsp-add ls1 ln1 "" 101 -- lsp-set-type ln1 localnet -- lsp-set-addresses ln1 unknown
lsp-add ls2 ln2 "" 102 -- lsp-set-type ln2 localnet -- lsp-set-addresses ln2 unknown
lsp-add ext lne -- lsp-set-type lne localnet -- lsp-set-addresses lne unknown
lsp-set-options ln1 network_name=net1
lsp-set-options ln2 network_name=net1
lsp-set-options lne network_name=net2
lrp-add lr lr-ls1 00:00:00:00:ff:01 10.0.0.1/24 fd00::1/64
lrp-add lr lr-ls2 00:00:00:00:ff:02 10.1.0.1/24
lrp-add lr lr-ext 00:00:00:00:ff:03 172.16.0.1/24
lsp-add ls1 ls1-lr -- lsp-set-type ls1-lr router -- lsp-set-options ls1-lr router-port=lr-ls1
lsp-add ls2 ls2-lr -- lsp-set-type ls2-lr router -- lsp-set-options ls2-lr router-port=lr-ls2
lsp-add ext ext-lr -- lsp-set-type ext-lr router -- lsp-set-options ext-lr router-port=lr-ext
lsp-set-addresses ls1-lr router -- lsp-set-addresses ls2-lr router -- lsp-set-addresses ext-lr router
lrp-set-gateway-chassis lr-ext hv2 10
lrp-set-options lr-ext redirect-type=bridged
lb-add lb0 30.0.0.1:80 10.0.0.11:80,10.0.0.13:80
lb-add lb6 [fd00::30]:80 [fd00::11]:80
lb-add lbu 30.0.0.2:53 10.0.0.11:53 udp
lb-add lbn 30.0.0.3 10.0.0.11
lb-add lbs 30.0.0.4:80 10.0.0.13:8080
lb-add lbx 30.0.0.5:80 10.0.0.13:80
lb-add lbh 30.0.0.6:80 10.0.0.11:80,10.0.0.13:80 -- set Load_Balancer lbh selection_fields=ip_src,tp_dst,eth_dst
set Load_Balancer lbs options:hairpin_snat_ip="30.0.0.44 fd00::44"
ls-lb-add ls1 lb0 -- ls-lb-add ls1 lb6 -- ls-lb-add ls1 lbu -- ls-lb-add ls1 lbn -- ls-lb-add ls1 lbs
ls-lb-add ls2 lb0 -- ls-lb-add ls1 lbh
--ecmp lr-route-add lr 20.0.0.0/8 172.16.0.2 -- --ecmp lr-route-add lr 20.0.0.0/8 172.16.0.3
fwd-group-add fwd ls1 10.0.0.99 00:00:00:00:03:00 v1 v3
"""
"""Two physical networks, one with VLANs, a gateway behind the other, and load balancers whose clients are backends."""

GATEWAYS = r"""
lrp-add lr lr-extA 00:00:00:00:ff:0a 172.17.0.1/24
lrp-add lr lr-extB 00:00:00:00:ff:0b 172.18.0.1/24
lrp-add lr lr-extC 00:00:00:00:ff:0c 172.19.0.1/24
lrp-set-gateway-chassis lr-extA hv1 10
lrp-set-gateway-chassis lr-extB hv2 10
lrp-set-gateway-chassis lr-extC hv1 10
lrp-set-options lr-extC redirect-type=bridged
lrp-set-options lr-ls2 reside-on-redirect-chassis=true
"""
"""Three more gateways of the router: two here, one of them reached through the physical network, and one elsewhere."""


def with_gateways() -> str:
    """Return the network with these gateways, each in a VLAN of its own."""
    lines = []
    for letter, tag in (("A", 201), ("B", 202), ("C", 203)):
        switch, inner, outer = f"ext{letter}", f"ext{letter}-lr", f"ln{letter}"
        lines += [
            f"ls-add {switch}",
            f'lsp-add {switch} {outer} "" {tag} -- lsp-set-type {outer} localnet -- lsp-set-addresses {outer} unknown',
            f"lsp-set-options {outer} network_name=net1" + (" ethtype=802.11ad" if tag == 202 else ""),
            f"lsp-add {switch} {inner} -- lsp-set-type {inner} router -- lsp-set-addresses {inner} router",
            f"lsp-set-options {inner} router-port=lr-{switch}",
        ]
    return ROUTED.rstrip() + "\n" + "\n".join(lines) + GATEWAYS


GATEWAY_ROUTER = r"""
ls-add inner
ls-add join
ls-add outer
lr-add dr
lr-add gw -- set Logical_Router gw options:chassis=hv1
lr-add gx -- set Logical_Router gx options:chassis=hv2
lsp-add inner v1 -- lsp-set-addresses v1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add inner l2 -- lsp-set-type l2 l2gateway -- lsp-set-addresses l2 unknown
lsp-set-options l2 network_name=net2 l2gateway-chassis=hv1
lsp-add outer ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- lsp-set-options ln network_name=net1
lrp-add dr dr-inner 00:00:00:00:ff:01 10.0.0.1/24
lrp-add dr dr-join 00:00:00:00:ff:02 100.64.0.1/24
lrp-add gw gw-join 00:00:00:00:ff:03 100.64.0.2/24
lrp-add gx gx-join 00:00:00:00:ff:04 100.64.0.3/24
lrp-add gw gw-outer 00:00:00:00:ff:05 172.16.0.1/24
lsp-add inner inner-dr -- lsp-set-type inner-dr router -- lsp-set-options inner-dr router-port=dr-inner
lsp-add join join-dr -- lsp-set-type join-dr router -- lsp-set-options join-dr router-port=dr-join
lsp-add join join-gw -- lsp-set-type join-gw router -- lsp-set-options join-gw router-port=gw-join
lsp-add join join-gx -- lsp-set-type join-gx router -- lsp-set-options join-gx router-port=gx-join
lsp-add outer outer-gw -- lsp-set-type outer-gw router -- lsp-set-options outer-gw router-port=gw-outer
"""
"""A distributed router, and behind it two gateway routers, one of them on this chassis; a gateway of layer 2."""

ROUTED_PORTS = {"v1": 11, "v2": 12, "v3": 13}
MACS = "net1:aa:bb:cc:dd:ee:{0}1,net2:aa:bb:cc:dd:ee:{0}2"


@pytest.fixture
def site() -> Iterator[Site]:
    with one_chassis(NETWORK, PORTS, ovn_bridge_mappings="net1:br-ex") as site:
        site.sbctl("lsp-bind", "p2", "hv2")
        yield site


@pytest.fixture
def routed() -> Iterator[Site]:
    mappings = "net1:br-ex,net2:br-ex2"
    with one_chassis(
        ROUTED, ROUTED_PORTS, ovn_bridge_mappings=mappings, ovn_chassis_mac_mappings=MACS.format(1)
    ) as site:
        theirs = (f'other_config:ovn-chassis-mac-mappings="{MACS.format(2)}"',)
        site.sbctl("set", "Chassis", "hv2", *theirs, f'other_config:ovn-bridge-mappings="{mappings}"')
        yield site


def test_ours_installs_what_the_original_installs(site: Site) -> None:
    theirs = installed_by_the_original(site)
    ours = asyncio.run(install(site, ["--wait=hv", "sync"]))
    assert len(ours) > 300
    parent = {
        flow
        for flow in ours ^ theirs
        if re.search("table=64, priority=100,(reg10=0x1/0x1,)?reg15=0x1,metadata=0x1 ", flow)
    }
    assert difference(theirs - parent, ours - parent) == ""
    assert len(parent) == 2, "packets to a container's parent go out where they came in, whether marked or not"
    assert any("dl_vlan=5 " in flow for flow in ours), "a container whose switch is not its parent's"


def test_physical_networks_and_hairpins_are_as_the_originals(routed: Site) -> None:
    theirs = physical(installed_by_the_original(routed))
    ours = physical(asyncio.run(install(routed, ["--wait=hv", "sync"])))
    assert difference(theirs, ours) == ""
    text = "\n".join(ours)
    for sign in ("aa:bb:cc:dd:ee:11->eth_src", "dl_src=aa:bb:cc:dd:ee:22", "dl_vlan=102 actions=2/2", "learn(table=69"):
        assert sign in text
    assert "priority=200,tcp,reg1=0x1e000004" in text
    assert "30.0.0.5" not in text, "a load balancer that no switch has"
    for how in ("dp_hash,bucket", "dp_hash,selection_method_param=4294967296", "hash,fields(eth_dst,ip_src,tcp_dst)"):
        assert f"group,type=select,selection_method={how}" in text


SWITCHES: dict[str, tuple[str, ...]] = {"a": (), "b": ("net1",), "c": ("net9",), "d": ("net9", "net1")}
"""Switches by name, with the physical networks of their localnet ports, of which the chassis has a bridge for net1."""
KINDS = {
    "virtual": "virtual-ip=10.0.0.9 virtual-parents=x", "vtep": "vtep-physical-switch=p vtep-logical-switch=l",
    "external": "x=y", "l2gateway": "network_name=net3 l2gateway-chassis={}", "": "x=y",
}  # fmt: skip


def every_kind() -> Iterator[str]:
    """Yield commands that make each kind of port on each of the switches: here, on another chassis, and nowhere."""
    for chassis in ("hv1", "hv2"):
        yield f"ha-chassis-group-add {chassis} -- ha-chassis-group-add-chassis {chassis} {chassis} 10"
    for i, (switch, networks) in enumerate(SWITCHES.items()):
        yield f"ls-add {switch}"
        for j, network in enumerate(networks):
            options = f"lsp-set-options {switch}-ln{j} network_name={network}"
            yield f"lsp-add {switch} {switch}-ln{j} -- lsp-set-type {switch}-ln{j} localnet -- {options}"
        for j, (kind, options) in enumerate(KINDS.items()):
            for k, where in enumerate(("hv1", "hv2", "none")):
                name = f"{switch}-{kind or 'vif'}-{where}"
                yield f"lsp-add {switch} {name} -- lsp-set-type {name} '{kind}'"
                yield f"lsp-set-options {name} {options.format(where)}"
                yield f"lsp-set-addresses {name} '0a:00:00:{i:02}:{j:02}:{k:02} 10.{i}.{j}.{k}'"
        for where in ("hv1", "hv2"):
            yield f"lsp-add {switch} {switch}-container-{where} {switch}-vif-{where} 5"
        for where in ("here", "none"):  # the latter has the highest key
            yield f"lsp-add {switch} {switch}-local-{where} -- lsp-set-type {switch}-local-{where} localport"


@pytest.fixture
def kinds() -> Iterator[Site]:
    ports = {f"{switch}-{kind}": 10 + 2 * i + j for i, switch in enumerate(SWITCHES)
             for j, kind in enumerate(("vif-hv1", "local-here"))}  # fmt: skip
    with one_chassis("\n".join(every_kind()), ports, ovn_bridge_mappings="net1:br-ex,net3:br-ex2") as site:
        for where in ("hv1", "hv2"):
            group = site.nbctl("--bare", "--columns=_uuid", "find", "HA_Chassis_Group", f"name={where}").strip()
            for switch in SWITCHES:
                site.nbctl("set", "Logical_Switch_Port", f"{switch}-external-{where}", f"ha_chassis_group={group}")
        original = site.spawn("ovn-controller", f"unix:{site.directory}/db.sock")
        site.sbctl("wait-until", "Chassis_Private", "hv1")
        site.nbctl("--wait=hv", "sync")
        for where in ("hv1", "hv2"):
            uuid = site.sbctl("--bare", "--columns=_uuid", "find", "Chassis", f"name={where}").strip()
            others = () if where == "hv1" else ("vif", "container", "vtep", "external", "l2gateway")
            for switch in SWITCHES:
                for kind in ("virtual", *others):
                    site.sbctl("set", "Port_Binding", f"{switch}-{kind}-{where}", f"chassis={uuid}")
        site.nbctl("--wait=hv", "sync")
        original.kill()
        original.wait()
        site.processes.remove(original)
        yield site


def with_effect(site: Site, flows: set[str]) -> set[str]:
    """Return the flows without copies to localports that are not here, and without groups of nobody."""
    for switch in SWITCHES:
        datapath = site.sbctl(
            "--bare", "--columns=tunnel_key", "find", "Datapath_Binding", f"external_ids:name={switch}"
        )
        key = site.sbctl("--bare", "--columns=tunnel_key", "find", "Port_Binding", f"logical_port={switch}-local-none")
        copy = rf"(reg15=0x8\w+,metadata={int(datapath):#x} actions=.*),{int(key):#x}\b"
        flows = {re.sub(copy, r"\1", flow) for flow in flows}
    return {flow for flow in flows if not re.search("table=(39|40),.*reg15=0x8.* actions=$", flow)}


def test_ports_of_every_kind_are_reached_as_with_the_original(kinds: Site) -> None:
    theirs = with_effect(kinds, physical(installed_by_the_original(kinds)))
    ours = with_effect(kinds, physical(asyncio.run(install(kinds, ["--wait=hv", "sync"]))))
    parents = {flow for flow in ours ^ theirs if "table=64," in flow and "reg10=0x20/" not in flow}
    assert len(parents) == 2 * len(SWITCHES)
    assert difference(theirs - parents, ours - parents) == ""
    text = "\n".join(ours)
    for sign in ("table=41, priority=170,reg10=0x400", "table=65, priority=100", "->tun_id"):
        assert sign in text


def test_packets_from_and_to_vtep_gateways_have_the_networks_key_as_vni() -> None:
    network = """
ls-add sw
lsp-add sw p1 -- lsp-set-addresses p1 00:00:00:00:00:01
lsp-add sw ramp -- lsp-set-type ramp vtep -- lsp-set-addresses ramp unknown
lsp-set-options ramp vtep-physical-switch=ps vtep-logical-switch=l
"""
    with one_chassis(network, {"p1": 11}, ovn_encap_type="geneve,vxlan") as site:
        gateway = ("chassis-add", "ps", "vxlan", "192.0.2.9", "--", "set", "Chassis", "ps", "other_config:is-vtep=true")
        site.sbctl(*gateway)
        site.sbctl("lsp-bind", "ramp", "ps")
        installed_by_the_original(site)  # which makes the tunnel; it may not have its flows before it stops
        found = physical(installed_by_the_original(site)), physical(asyncio.run(install(site, ["--wait=hv", "sync"])))
    # What comes by a tunnel from no gateway is told apart in two ways that come to the same.
    original, ours = [{f for f in flows if "NXM_NX_TUN_ID[12.." not in f} for flows in found]
    assert difference(original, ours) == ""
    assert any("priority=110,tun_id=0x1,in_port=" in flow for flow in ours), ours


def test_a_gateway_shows_the_routers_own_address_where_it_is() -> None:
    mappings = "net1:br-ex,net2:br-ex2"
    ids = {"ovn_bridge_mappings": mappings, "ovn_chassis_mac_mappings": MACS.format(1)}
    with one_chassis(with_gateways(), ROUTED_PORTS, **ids) as site:
        theirs = (f'other_config:ovn-chassis-mac-mappings="{MACS.format(2)}"',)
        site.sbctl("set", "Chassis", "hv2", *theirs, f'other_config:ovn-bridge-mappings="{mappings}"')
        original = physical(installed_by_the_original(site))
        ours = physical(asyncio.run(install(site, ["--wait=hv", "sync"])))
        elsewhere = site.sbctl("get", "Port_Binding", "lr-extB", "tunnel_key").strip()
    # Into the switch behind the gateway elsewhere, which is not here, the original delivers what it then drops.
    behind = f"table=(40|41|64|65),.*reg15={int(elsewhere):#x},metadata=0x4 "
    original = {flow for flow in original if not re.search(behind, flow)}
    assert difference(original, ours) == ""
    replaced = {found[1] for flow in ours if (found := re.search("priority=150,.*dl_src=00:00:00:00:ff:(..) ", flow))}
    assert "0b" not in replaced, "the switch behind it is not here"
    assert replaced.isdisjoint({"0a", "0c"}), "the gateways that are here"
    assert {"01", "02"} <= replaced


def test_a_gateway_router_is_entered_as_with_the_original() -> None:
    ids = {"ovn_bridge_mappings": "net1:br-ex,net2:br-ex2", "ovn_chassis_mac_mappings": MACS.format(1)}
    with one_chassis(GATEWAY_ROUTER, {"v1": 11}, **ids) as site:
        original = physical(installed_by_the_original(site))
        ours = physical(asyncio.run(install(site, ["--wait=hv", "sync"])))
        zones = site.vsctl("get", "Bridge", "br-int", "external_ids")
    assert difference(original, ours) == ""
    for name in ("gw-join", "join-gw", "gw-outer", "outer-gw", "l2", "ln"):
        zone = re.search(rf'ct-zone-{name}="(\d+)"', zones)
        assert zone is not None
        assert any(f"set_field:{int(zone[1]):#x}->reg13" in flow for flow in ours), name
    assert not re.search("ct-zone-(dr-|join-dr|gx-|join-gx)", zones), "distributed routers, and one elsewhere"


async def moved(site: Site) -> None:
    """Send a controller to another Southbound, in which p3 is not, and back again."""
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())
    move = ("set", "Open_vSwitch", ".")
    try:
        await asyncio.to_thread(site.nbctl, "--wait=hv", "sync")
        before = await settled(site, lambda f: any("in_port=13 " in line for line in f), "p3's flows")
        engine = controller.engine
        assert engine is not None
        attachments = len(controller.host.own.table(Attachment).rows)
        for name in ("sb2", "sb"):
            site.vsctl("--no-wait", *move, f"external_ids:ovn-remote=unix:{site.directory}/{name}.sock")
            if name == "sb2":
                flows = await settled(site, lambda f: not any("in_port=13 " in line for line in f), "p3 to go")
                assert any("in_port=11 " in line for line in flows), "what is the same stays"
                assert controller.engine is not engine
                tables = (controller._vswitch.store.table(row_class) for row_class in SWITCH)
                assert not any(watcher.engine is engine for t in tables for watcher in t.watchers), "it is closed"
                assert not any(run in row.readers for row in controller.host.own.table(Progress).rows.values()
                               for run in row.readers if run.engine is engine)  # fmt: skip
        assert await settled(site, lambda f: f == before, "all flows to be back") == before
        assert len(controller.host.own.table(Attachment).rows) == attachments
        assert not running.done()
    finally:
        await controller.close()
        await running


def test_another_southbound_replaces_everything(site: Site) -> None:
    site.run(
        "ovsdb-client", "backup", f"unix:{site.directory}/sb.sock", "OVN_Southbound", stdout=site.directory / "c.db"
    )
    site.serve("sb2", site.directory / "c.db")
    gone = ("ovn-sbctl", f"--db=unix:{site.directory}/sb2.sock", "destroy", "Port_Binding")
    uuid = site.run(*gone[:2], "--bare", "--columns=_uuid", "find", "Port_Binding", "logical_port=p3").strip()
    site.run(*gone, uuid)
    asyncio.run(moved(site))


async def undone(site: Site) -> None:
    """Take a port away from a controller that claims it, before it has looked at what came of the claim."""
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())

    def claimed() -> str:
        return site.sbctl("--bare", "--columns=chassis", "find", "Port_Binding", "logical_port=p1").strip()

    try:
        await until_async(lambda: controller.settled)
        assert claimed()
        southbound = controller.southbound
        assert southbound is not None
        (port,) = southbound.store.table(PortBinding).select(PortBinding.logical_port, "p1")
        commit = southbound.commit

        async def overtaken(transaction: Transaction) -> Commit:
            staged = transaction.staged.get(PortBinding.TABLE, {}).get(port.uuid)
            if staged is None or PortBinding.chassis.index not in staged.changed:
                return await commit(transaction)
            southbound.commit = commit
            controller.pause()
            outcome = await commit(transaction)
            assert port.chassis is not None
            await asyncio.to_thread(site.sbctl, "lsp-unbind", "p1")
            await until_async(lambda: port.chassis is None)
            controller.resume()
            return outcome

        southbound.commit = overtaken
        await asyncio.to_thread(site.sbctl, "lsp-unbind", "p1")
        await until_async(lambda: southbound.commit is not overtaken and not controller.paused)
        await until_async(claimed)
    finally:
        await controller.close()
        await running


def test_a_claim_that_another_client_undoes_is_made_again(site: Site) -> None:
    asyncio.run(undone(site))


TEMPLATES = r"""
ls-add ls
lsp-add ls t1 -- lsp-set-addresses t1 "0a:00:00:00:00:01 10.0.0.11 fd00::11"
create Chassis_Template_Var chassis=hv1 variables:vip=30.0.0.9 variables:port=8080 variables:backend=10.0.0.77
set Chassis_Template_Var hv1 variables:host=10.0.0.99 'variables:six="fd00::39"'
set Chassis_Template_Var hv1 'variables:some="10.0.0.77:1,10.0.0.78:2"'
create Chassis_Template_Var chassis=hv2 variables:vip=30.0.0.8 variables:port=8081
--template lb-add lb1 ^vip:^port ^backend:81,10.0.0.11:82 tcp
--template lb-add lb2 ^vip:80 ^some udp
--template lb-add lb3 ^six:80 [fd00::11]:80 tcp ipv6
--template lb-add lb4 ^gone:80 10.0.0.77:80 tcp
ls-lb-add ls lb1 -- ls-lb-add ls lb2 -- ls-lb-add ls lb3 -- ls-lb-add ls lb4
acl-add ls to-lport 1000 "ip4.src == {^host, 10.0.0.98} && tcp.dst == ^port" drop
"""


def with_variables(flows: set[str]) -> set[str]:
    """Return the flows that variables are in, without the numbers of groups."""
    values = r"30\.0\.0\.[89]|0x1e00000[89]|fd00::39|0xfd000000|10\.0\.0\.(77|78|99)"
    return {re.sub(r"group:\d+", "group:N", flow) for flow in flows if re.search(values, flow)}


def test_templates_have_the_values_of_this_chassis_as_with_the_original() -> None:
    with one_chassis(TEMPLATES, {"t1": 11}) as site:
        theirs = with_variables(installed_by_the_original(site))
        ours = with_variables(asyncio.run(install(site, ["--wait=hv", "sync"])))
        assert difference(theirs, ours) == ""
        assert len(ours) >= 12
        assert not any("30.0.0.8" in flow for flow in ours)
