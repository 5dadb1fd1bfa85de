"""Port groups with members of every type of port: the flows of ACLs, against the original's."""

from __future__ import annotations

import asyncio
import re

from support.controller.site import Site, install, installed_by_the_original, one_chassis

NETWORK = r"""
ls-add sw0
ls-add sw1
ls-add sw2
ls-add sw3
lr-add lr
lr-add gr1 -- set Logical_Router gr1 options:chassis=hv1
lr-add gr2 -- set Logical_Router gr2 options:chassis=hv2
lrp-add lr lr-sw0 00:00:00:00:ff:01 10.0.0.1/24
lrp-add lr lr-sw1 00:00:00:00:ff:02 10.1.0.1/24
lrp-add gr1 gr1-sw2 00:00:00:00:ff:03 10.2.0.1/24
lrp-add gr2 gr2-sw3 00:00:00:00:ff:04 10.3.0.1/24
lrp-set-gateway-chassis lr-sw1 hv1 10
lsp-add sw0 here -- lsp-set-addresses here "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 there -- lsp-set-addresses there "0a:00:00:00:00:02 10.0.0.12"
lsp-add sw0 meta -- lsp-set-type meta localport -- lsp-set-addresses meta "0a:00:00:00:00:99 10.0.0.2"
lsp-add sw0 box here 5 -- lsp-set-addresses box "0a:00:00:00:00:03 10.0.0.13"
lsp-add sw0 boxthere there 5 -- lsp-set-addresses boxthere "0a:00:00:00:00:04 10.0.0.14"
lsp-add sw0 vip -- lsp-set-type vip virtual -- lsp-set-addresses vip "0a:00:00:00:00:05 10.0.0.15"
lsp-set-options vip virtual-ip=10.0.0.15 virtual-parents=here,there
lsp-add sw0 sw0-lr -- lsp-set-type sw0-lr router -- lsp-set-options sw0-lr router-port=lr-sw0
lsp-add sw1 sw1-lr -- lsp-set-type sw1-lr router -- lsp-set-options sw1-lr router-port=lr-sw1
lsp-add sw1 ln "" 42 -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- lsp-set-options ln network_name=net1
lsp-add sw1 ext -- lsp-set-type ext external -- lsp-set-addresses ext "0a:00:00:00:01:05 10.1.0.15"
lsp-add sw2 sw2-gr1 -- lsp-set-type sw2-gr1 router -- lsp-set-options sw2-gr1 router-port=gr1-sw2
lsp-add sw2 here2 -- lsp-set-addresses here2 "0a:00:00:00:02:01 10.2.0.11"
lsp-add sw2 l2gw -- lsp-set-type l2gw l2gateway -- lsp-set-addresses l2gw unknown
lsp-set-options l2gw network_name=net2 l2gateway-chassis=hv1
lsp-add sw3 sw3-gr2 -- lsp-set-type sw3-gr2 router -- lsp-set-options sw3-gr2 router-port=gr2-sw3
lsp-add sw3 here3 -- lsp-set-addresses here3 "0a:00:00:00:03:01 10.3.0.11"
lsp-add sw3 l2there -- lsp-set-type l2there l2gateway -- lsp-set-addresses l2there unknown
lsp-set-options l2there network_name=net2 l2gateway-chassis=hv2
"""
"""A switch for each way to a router, and members of every type, on this chassis and elsewhere."""

MEMBERS = (
    *("here", "there", "meta", "box", "boxthere", "vip", "sw0-lr", "sw1-lr", "ln", "ext", "sw2-gr1", "here2"),
    *("l2gw", "sw3-gr2", "here3", "l2there"),
)
PORTS = {"here": 11, "meta": 12, "here2": 13, "here3": 14}
MATCHES = (
    ("from-lport", "inport == @pg && ip4.dst == 42.0.0.1"),
    ("from-lport", "inport==@pg && ip4.dst == 42.0.0.2"),
    ("from-lport", "@pg == inport && ip4.dst == {42.0.0.3, 42.0.0.4}"),
    ("from-lport", "inport == {@pg, @others} && tcp.dst == 43"),
    ("to-lport", "outport == @pg && ip4.src == 42.0.0.1"),
    ("to-lport", "outport==@pg && ip4.src == {42.0.0.3, 42.0.0.4}"),
    ("to-lport", "outport == @pg && ip4.src == $pg_ip4"),
    ("to-lport", "inport == @pg && outport == @others && tcp.dst == 44"),
    ("to-lport", "inport==@pg && udp.dst == 45"),
    ("to-lport", "@pg == inport && udp.dst == 46"),
    ("to-lport", "!(inport != @pg) && udp.dst == 47"),
)


def acls() -> str:
    """Return the commands that make the groups, an ACL for each match, and one about each member's chassis."""
    lines = [f"pg-add pg {' '.join(MEMBERS)}", f"pg-add others {' '.join(MEMBERS[::2])}"]
    lines += [f'acl-add pg {way} {1000 + n} "{match}" drop' for n, (way, match) in enumerate(MATCHES)]
    for n, name in enumerate(MEMBERS):
        match = f'ip4.dst == 44.0.0.{n} && is_chassis_resident(\\"{name}\\")'
        lines.append(f'acl-add pg from-lport {1100 + n} "{match}" drop')
    return "\n".join(lines)


Packet = tuple[str, int, int, int]
"""Table and priority, the datapath's key, and those of inport and outport: 0 where a flow takes any."""


def matched(flows: set[str]) -> set[Packet]:
    """Return which packets the flows of ACLs that drop match, so far as ports go, whatever else they look at."""
    found: set[Packet] = set()
    clauses: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for line in flows:
        keys = dict(re.findall(r"(table|priority|metadata|reg14|reg15)=(?:0x)?([0-9a-f]+)[, ]", line))
        if keys.get("table") not in ("16", "46") or not 2000 <= int(keys["priority"]) < 3000:
            continue
        where, datapath = f"{keys['table']} {keys['priority']}", int(keys["metadata"], 16)
        ports = int(keys.get("reg14", "0"), 16), int(keys.get("reg15", "0"), 16)
        if re.search(r"actions=\d/\d", line):
            if any(ports):
                clauses.setdefault((where, datapath), []).append(ports)
        elif "conj_id" not in line:
            found.add((where, datapath, *ports))
    for (where, datapath), ports_of in clauses.items():
        inward = {i for i, _ in ports_of if i} or {0}
        outward = {o for _, o in ports_of if o} or {0}
        found |= {(where, datapath, i, o) for i in inward for o in outward}
    return found


def place(site: Site, port: str) -> tuple[int, int]:
    """Return the keys of a port's datapath and of the port."""
    datapath = site.sbctl("get", "Port_Binding", port, "datapath").strip()
    rows = (("Datapath_Binding", datapath), ("Port_Binding", port))
    number, key = (int(site.sbctl("get", *row, "tunnel_key")) for row in rows)
    return number, key


def test_members_of_every_type_are_matched_as_by_the_original() -> None:
    with one_chassis(NETWORK + acls(), PORTS, ovn_bridge_mappings="net1:br-ex,net2:br-ex2") as site:
        site.sbctl("lsp-bind", "there", "hv2")
        theirs = matched(installed_by_the_original(site))
        ours = matched(asyncio.run(install(site, ["--wait=hv", "sync"])))
        elsewhere = {place(site, name) for name in ("there", "boxthere")}
    seen = {int(where.split()[1]) for where, *_ in theirs}
    assert seen >= {2000 + n for n in range(len(MATCHES))}
    assert theirs <= ours, "what the original drops"
    for where, datapath, inward, outward in ours - theirs:
        here = inward if where.startswith("16") else outward
        assert (datapath, here) not in elsewhere, "members elsewhere cost nothing"
        assert int(where[3:]) < 2100, "a chassis speaks for the same ports"
