"""What smaller features of switches become on a chassis: flows, meters and rows, ours and the original's."""

from __future__ import annotations

import asyncio
import re

from support.controller.site import Site, install, installed_by_the_original, one_chassis

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
