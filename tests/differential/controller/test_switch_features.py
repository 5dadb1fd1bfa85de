"""What smaller features of switches become on a chassis: flows, meters and rows, ours and the original's."""

from __future__ import annotations

import asyncio
import json
import re

from ovenbird.controller.controller import Controller
from support.controller.site import Site, install, installed_by_the_original, one_chassis
from support.waiting import until, until_async

QOS = r"""
ls-add sw0
lsp-add sw0 p1 -- lsp-set-addresses p1 "0a:00:00:00:00:01 10.0.0.11" -- lsp-set-options p1 qdisc_queue_id=5
lsp-add sw0 p2 -- lsp-set-addresses p2 "0a:00:00:00:00:02 10.0.0.12"
lsp-add sw0 ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown
lsp-set-options ln network_name=net1 qos_max_rate=1000000
qos-add sw0 from-lport 100 "inport == \"p1\" && ip4" dscp=10 rate=1000 burst=20
qos-add sw0 to-lport 100 "outport == \"p1\" && ip4.src == {1.1.1.1, 2.2.2.2}" rate=1000
qos-add sw0 to-lport 101 "ip6" rate=1000 dscp=63
qos-add sw0 to-lport 102 "tcp" rate=77
"""


def shaped(flows: set[str]) -> set[str]:
    """Return the flows that mark, limit or queue, without the numbers of meters."""
    chosen = {flow for flow in flows if re.search("meter:|set_queue|ip_dscp", flow)}
    return {re.sub(r"meter:\d+", "meter", flow).replace("/0x3f->", "->") for flow in chosen}


def meters(site: Site) -> list[str]:
    told = site.run("ovs-ofctl", "-O", "OpenFlow15", "dump-meters", f"{site.directory}/br-int.mgmt")
    return sorted(re.findall(r"meter=\d+ (.*?)\n\n", told.replace("bands=\n", "") + "\n", re.DOTALL))


def test_rates_and_queues_are_the_originals() -> None:
    with one_chassis(QOS, {"p1": 11, "p2": 12}, ovn_bridge_mappings="net1:br-ex") as site:
        theirs, limits = shaped(installed_by_the_original(site)), meters(site)
        ours = shaped(asyncio.run(install(site, ["--wait=hv", "sync"])))
        assert ours == theirs
        assert len(ours) == 11
        assert meters(site) == limits
        assert len(limits) == 4


MIRRORS = r"""
ls-add sw0
lsp-add sw0 p1
lsp-add sw0 p2
lsp-add sw0 ln -- lsp-set-type ln localnet -- lsp-set-options ln network_name=net1
mirror-add m1 gre 5 from-lport 192.0.2.9
mirror-add m2 erspan 26 to-lport 192.0.2.10
mirror-add m3 gre 7 to-lport 192.0.2.11
mirror-add m4 gre 8 to-lport fd00::1
mirror-add m5 erspan 9 from-lport fd00::2
lsp-attach-mirror p1 m1 -- lsp-attach-mirror p1 m2 -- lsp-attach-mirror p2 m2 -- lsp-attach-mirror ln m3
lsp-attach-mirror p2 m4 -- lsp-attach-mirror p2 m5
"""


def mirrors(site: Site) -> dict[str, tuple[object, ...]]:
    """Return the mirrors of the switch by name: selected ports, output port, and its tunnel."""
    made = rows(site, "Mirror")  # first: what they refer to is there by then
    ports = {row["_uuid"]: row for row in rows(site, "Port")}
    interfaces = {row["_uuid"]: row for row in rows(site, "Interface")}
    found = {}
    for row in made:
        chosen = [sorted(ports[uuid]["name"] for uuid in each(row[c])) for c in ("select_src_port", "select_dst_port")]
        output = ports[row["output_port"]]
        tunnel = interfaces[output["interfaces"]]
        found[row["name"]] = (*chosen, row["external_ids"], output["name"], tunnel["type"], tunnel["options"])
    return found


def each(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else [value]


def rows(site: Site, table: str) -> list[dict[str, object]]:
    told = json.loads(site.vsctl("--format=json", "list", table))
    return [dict(zip(told["headings"], map(plain, row), strict=True)) for row in told["data"]]


def plain(value: object) -> object:
    """Return a column without the notation of OVSDB."""
    match value:
        case ["uuid", uuid]:
            return uuid
        case ["set", members]:
            return [plain(member) for member in members]
        case ["map", pairs]:
            return dict(pairs)
    return value


async def mirrored(site: Site, expected: dict[str, tuple[object, ...]]) -> None:
    """Run our controller until the switch has these mirrors: they are written when they are, whatever else waits."""
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())
    try:
        await until_async(lambda: controller.settled)
        await until_async(lambda: asyncio.to_thread(lambda: mirrors(site) == expected))
    finally:
        await controller.close()
        await running


def test_mirrors_are_the_originals() -> None:
    with one_chassis(MIRRORS, {"p1": 11, "p2": 12}, ovn_bridge_mappings="net1:br-ex") as site:
        original = site.spawn("ovn-controller", f"unix:{site.directory}/db.sock")
        until(lambda: len(mirrors(site)) == 4)
        original.kill()  # so that it leaves everything as it is
        original.wait()
        site.processes.remove(original)
        theirs = mirrors(site)
        asyncio.run(mirrored(site, theirs))  # those of the original are left as they are
        site.vsctl("clear", "Bridge", "br-int", "mirrors")
        site.vsctl(*(word for name in theirs for word in ("--", "del-port", f"ovn-{name}")))
        asyncio.run(mirrored(site, theirs))
