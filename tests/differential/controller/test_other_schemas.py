"""The controller beside Southbounds of other releases: what their schemas lack is left out, and it works anyway."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

from ovenbird.controller.controller import Controller
from ovenbird.model import sb
from ovenbird.ovsdb.replica import Replica
from ovenbird.ovsdb.transact_request import encode_transaction
from support.controller.site import Site, one_chassis
from support.ovsdb.other_schemas import newer, reduced, ungrouped
from support.waiting import until_async

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

NETWORK = r"""
ls-add sw0
ls-add sw1
lr-add r
lrp-add r r-sw0 00:00:00:00:00:01 10.0.0.1/24
lrp-add r r-sw1 00:00:00:00:00:02 10.1.0.1/24
lsp-add sw0 sw0-r -- lsp-set-type sw0-r router -- lsp-set-addresses sw0-r router
lsp-set-options sw0-r router-port=r-sw0
lsp-add sw1 sw1-r -- lsp-set-type sw1-r router -- lsp-set-addresses sw1-r router
lsp-set-options sw1-r router-port=r-sw1
lsp-add sw0 p1 -- lsp-set-addresses p1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 p2 -- lsp-set-addresses p2 "0a:00:00:00:00:02 10.0.0.12"
lsp-add sw1 q1 -- lsp-set-addresses q1 "0a:00:00:00:01:01 10.1.0.11"
lsp-add sw1 ln -- lsp-set-type ln localnet -- lsp-set-addresses ln unknown -- lsp-set-options ln network_name=net1
pg-add pg p1 p2 q1
acl-add pg from-lport 1002 "inport == @pg && ip4" allow-related
acl-add pg to-lport 1001 "outport == @pg && ip" drop
"""


def tables(site: Site) -> Counter[str]:
    """Return how many flows each table of the switch has."""
    return Counter(re.findall(r"table=\d+", " ".join(site.flows())))


async def watched(site: Site, monkeypatch: pytest.MonkeyPatch, *, everything: bool) -> list[Counter[str]]:
    """Run a controller; return the flows that it makes, before and after a port goes."""
    commits = []

    async def commit(self: Replica, transaction, **options):
        commits.append(encode_transaction(transaction))
        return await original(self, transaction, **options)

    original = Replica.commit
    monkeypatch.setattr(Replica, "commit", commit)
    site.vsctl("--no-wait", "set", "Open_vSwitch", ".", f"external_ids:ovn-monitor-all={everything}".lower())
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())
    found = []
    try:
        for change in (("sync",), ("lsp-del", "p1")):
            await asyncio.to_thread(site.nbctl, "--wait=hv", *change)
            before = -1
            while before != len(commits):
                before = len(commits)
                await asyncio.sleep(1.5)  # longer than any pause before something is tried again
            found.append(tables(site))
        assert len(commits) < 40
        assert controller.engine is not None
        assert not controller.engine.failures
        assert not running.done()
    finally:
        await controller.close()
        await running
    assert site.sbctl("--bare", "--columns=name", "list", "Chassis").split() == [], "the command `exit` takes it away"
    return found


def flows(change: Callable[[str], object] | None, monkeypatch: pytest.MonkeyPatch, *, everything: bool = False):
    with one_chassis(NETWORK, {"p1": 11, "q1": 12}, schemas=change, ovn_bridge_mappings="net1:br-ex") as site:
        site.sbctl("chassis-del", "hv2")
        return asyncio.run(watched(site, monkeypatch, everything=everything))


def test_the_controller_beside_other_releases(monkeypatch, caplog) -> None:
    caplog.set_level(logging.WARNING)
    made = {change.__name__: flows(change, monkeypatch) for change in (newer, reduced, ungrouped)}
    assert made["newer"][0] != made["newer"][1]
    assert made["reduced"] == made["newer"]
    assert made["ungrouped"] == made["newer"]
    assert flows(ungrouped, monkeypatch, everything=True) == made["newer"]
    assert not [r for r in caplog.records if "refus" in r.message or r.levelno >= logging.ERROR]


async def quiet(site: Site) -> Counter[str]:
    """Return the flows once they are there and stay as they are."""
    before: Counter[str] = Counter()
    async with asyncio.timeout(60):
        while not before or before != tables(site):
            before = tables(site)
            await asyncio.sleep(1)
    return before


async def converted(site: Site) -> None:
    controller = Controller(f"unix:{site.directory}/db.sock")
    running = asyncio.create_task(controller.run())
    try:
        before = await quiet(site)
        schema = "/usr/share/ovn/ovn-sb.ovsschema"
        await asyncio.to_thread(site.run, "ovsdb-client", "convert", f"unix:{site.directory}/sb.sock", schema)
        assert controller.southbound is not None
        store = controller.southbound.store
        await until_async(lambda: store.table(sb.LogicalDPGroup).rows and store.table(sb.ChassisPrivate).rows)
        await asyncio.to_thread(site.nbctl, "--wait=hv", "sync")
        assert await quiet(site) == before
        assert all(chassis.other_config for chassis in store.table(sb.Chassis).rows.values())
    finally:
        await controller.close(restart=True)
        await running


def test_a_schema_that_is_converted_meanwhile_is_used_at_once() -> None:
    with one_chassis(NETWORK, {"p1": 11, "q1": 12}, schemas=ungrouped, ovn_bridge_mappings="net1:br-ex") as site:
        site.sbctl("chassis-del", "hv2")
        asyncio.run(converted(site))
