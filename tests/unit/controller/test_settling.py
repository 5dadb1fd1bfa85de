"""What is monitored changes with each port; rules that wait for it must not run again for every port there is."""

from __future__ import annotations

from ovenbird.controller.local.bridge import DROP_PORT
from ovenbird.model import sb, vswitch
from support.controller.world import World

PORTS = 5


def full() -> World:
    """Return a world with several ports, tunnels and patches, all as they are to be."""
    world = World(**{"ovn-bridge-mappings": "physnet1:br-ex"})
    outer = world.add(vswitch.Bridge, name="br-ex")
    world.set(world.root, bridges=frozenset([world.bridge.uuid, outer.uuid]))
    for n in range(PORTS):
        switch = world.switch(n + 1)
        world.lport(switch, f"p{n}", 1, chassis=world.me.uuid, up=True)
        world.lport(switch, f"net{n}", 2, type="localnet", options={"network_name": "physnet1"})
        vif = world.port_on_bridge(f"tap{n}", n + 1, iface_id=f"p{n}")
        world.set(vif, external_ids=vif["external_ids"] | {"ovn-installed": "true"})
        world.port_on_bridge(f"patch-br-int-to-net{n}", n + 50, port_ids={"ovn-localnet-port": f"net{n}"})
        name, ip = f"far{n}", f"192.0.2.{n + 10}"
        world.chassis(name, ip)
        tunnel = world.port_on_bridge(
            f"ovn-{name}-0", n + 110, kind="geneve", port_ids={"ovn-chassis-id": f"{name}@{ip}"}
        )
        world.set(tunnel, options=tunnel["options"] | {"remote_ip": ip})
    world.run()
    return world


def test_rules_run_again_for_no_row_that_stays_when_what_is_monitored_has_come():
    world = full()
    for settled in (False, True):
        world.set(world.progress, settled=settled)
        assert {name: count for name, count in world.run().items() if count > 1} == {}


def test_left_over_rows_and_ports_are_removed_only_after_all_rows_have_arrived():
    world = full()
    world.set(world.progress, settled=False)
    for row_class in (sb.Chassis, sb.PortBinding):
        for row in list(world.sb.table(row_class).rows.values()):
            if row is not world.me:
                world.delete(row)
    world.run()
    assert removals(world) == ({}, 0)
    world.set(world.progress, settled=True)
    world.run()
    gone = {"ovn-installed": None, "ovn-installed-ts": None}
    assert removals(world) == (dict.fromkeys([f"tap{n}" for n in range(PORTS)], gone), 2 * PORTS + 1)


def removals(world: World) -> tuple[dict[str, dict[str, None]], int]:
    """Return what is removed from interfaces by their names, and how many ports of the switch are removed."""
    names = {uuid: row.name for uuid, row in world.vs.table(vswitch.Interface).rows.items()}
    edits = {names[uuid]: dict(edit["external_ids"]) for uuid, edit in world.edits().items()}
    return edits, sum(1 for fact in world.engine.owners if fact[0] is DROP_PORT)
