"""Load balancers of the API by real connections: TCP, UDP, from inside and outside, who may, and who is down."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from support.live.balancing import PORT, Octavia, ask, serving
from support.waiting import until

if TYPE_CHECKING:
    from support.live.routed_world import World

pytestmark = pytest.mark.live


def populated(world: World, *names: str, protocol: str = "TCP", **listener: Any) -> dict[str, Any]:
    """Return the body of a load balancer with a listener, whose members are some instances."""
    members = [
        {"address": world[name].address, "protocol_port": PORT, "subnet_id": world.ids[f"{name[:-1]}4"], "name": name}
        for name in names
    ]
    monitor = {"type": "TCP" if protocol == "TCP" else "UDP-CONNECT", "delay": 1, "timeout": 1, "max_retries": 1,
               "max_retries_down": 1}  # fmt: skip
    pool = {"name": "p", "protocol": protocol, "lb_algorithm": "SOURCE_IP_PORT", "members": members,
            "healthmonitor": monitor}  # fmt: skip
    listeners = [{"protocol": protocol, "protocol_port": 80, "default_pool": pool, **listener}]
    return {"vip_subnet_id": world.ids["red4"], "listeners": listeners}


def answered(world: World, place: Any, address: str, *names: str, protocol: str = "tcp") -> None:
    """Wait until connections to an address reach these and no others."""
    del world
    until(
        lambda: set(ask(place, address, 80, protocol=protocol, times=8)) == set(names),
        what=f"{names} to answer at {address} over {protocol}",
    )


@pytest.mark.usefixtures("floating")
def test_connections_health_and_floating_ips(world: World) -> None:
    """Both members answer, from their network, another and outside; one that is down gets nothing, and is shown so."""
    octavia = Octavia(world.lab)
    with ExitStack() as stack, world.lab.neutron() as neutron:
        stack.enter_context(serving(world["red1"], "red1"))
        down = ExitStack()
        stack.enter_context(down)
        down.enter_context(serving(world["blue2"], "blue2"))
        made = octavia.make("loadbalancer", **populated(world, "red1", "blue2"))
        stack.callback(octavia.ask, "DELETE", f"loadbalancers/{made['id']}?cascade=true")
        vip, path = made["vip_address"], f"loadbalancers/{made['id']}"
        answered(world, world["red2"], vip, "red1", "blue2")
        answered(world, world["blue2"], vip, "red1", "blue2")
        floating = neutron.create("floatingip", floating_network_id=world.ids["public"], port_id=made["vip_port_id"])
        stack.callback(neutron.delete, "floatingip", floating["id"])
        outer = floating["floating_ip_address"]
        answered(world, world.outside, outer, "red1", "blue2")
        until(lambda: octavia.ask("GET", path)["loadbalancer"]["operating_status"] == "ONLINE", what="ONLINE")
        down.close()
        until(lambda: octavia.ask("GET", path)["loadbalancer"]["operating_status"] == "DEGRADED", what="DEGRADED")
        answered(world, world["red2"], vip, "red1")
        answered(world, world.outside, outer, "red1")
        (pool,) = octavia.ask("GET", f"{path}/status")["statuses"]["loadbalancer"]["listeners"][0]["pools"]
        assert {one["name"]: one["operating_status"] for one in pool["members"]} == {"red1": "ONLINE", "blue2": "ERROR"}
        listener = made["listeners"][0]["id"]
        octavia.ask("PUT", f"listeners/{listener}", {"listener": {"allowed_cidrs": ["10.2.0.0/24"]}})
        answered(world, world["blue2"], vip, "red1")
        answered(world, world["red2"], vip, "dropped")
        answered(world, world.outside, outer, "dropped")
        octavia.ask("PUT", f"listeners/{listener}", {"listener": {"allowed_cidrs": None}})
        answered(world, world.outside, outer, "red1")
        octavia.ask("PUT", path, {"loadbalancer": {"admin_state_up": False}})
        until(lambda: "red1" not in ask(world["red2"], vip, 80), what="the load balancer to be off")


def test_datagrams(world: World) -> None:
    octavia = Octavia(world.lab)
    with ExitStack() as stack:
        for name in ("red1", "blue2"):
            stack.enter_context(serving(world[name], name))
        made = octavia.make("loadbalancer", **populated(world, "red1", "blue2", protocol="UDP"))
        stack.callback(octavia.ask, "DELETE", f"loadbalancers/{made['id']}?cascade=true")
        answered(world, world["red2"], made["vip_address"], "red1", "blue2", protocol="udp")


def test_a_backup_member_serves_while_no_other_does(world: World) -> None:
    """Members are probed at a port of their own by a load balancer that nothing uses."""
    octavia = Octavia(world.lab)
    with ExitStack() as stack:
        down = ExitStack()
        stack.enter_context(down)
        down.enter_context(serving(world["red1"], "red1"))
        stack.enter_context(serving(world["blue2"], "blue2"))
        body = populated(world, "red1", "blue2")
        main, backup = body["listeners"][0]["default_pool"]["members"]
        main["monitor_port"], backup["backup"] = PORT, True
        made = octavia.make("loadbalancer", **body)
        stack.callback(octavia.ask, "DELETE", f"loadbalancers/{made['id']}?cascade=true")
        answered(world, world["red2"], made["vip_address"], "red1")
        down.close()
        answered(world, world["red2"], made["vip_address"], "blue2")
        with serving(world["red1"], "red1"):
            answered(world, world["red2"], made["vip_address"], "red1")
