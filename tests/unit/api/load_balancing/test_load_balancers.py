"""Load balancers and their parts: created, shown, changed, deleted, and what of them is in Northbound."""

from __future__ import annotations

from ovenbird.model import cloud, nb
from ovenbird.model.load_balancing import TABLES


async def test_one_of_each_down_to_northbound(world):
    balancer = await world.make("loadbalancer", name="web", vip_subnet_id=world.subnet)
    assert balancer["provisioning_status"], balancer["operating_status"] == ("ACTIVE", "ONLINE")
    pool = await world.make(
        "pool", loadbalancer_id=balancer["id"], protocol="TCP", lb_algorithm="SOURCE_IP_PORT", name="p"
    )
    listener = await world.make(
        "listener", loadbalancer_id=balancer["id"], protocol="TCP", protocol_port=80, default_pool_id=pool["id"]
    )
    for host in (11, 12):
        await world.make("member", f"pools/{pool['id']}/", address=f"10.0.0.{host}", protocol_port=8080)
    (row,) = world.balancers()
    assert row.name == balancer["id"]
    assert row.vips == {f"{balancer['vip_address']}:80": "10.0.0.11:8080,10.0.0.12:8080"}
    assert row.protocol == "tcp"
    (switch,) = [s for s in world.northbound.store.table(nb.LogicalSwitch) if s.name == f"neutron-{world.network}"]
    assert list(switch.load_balancer) == [row]
    (router,) = world.northbound.store.table(nb.LogicalRouter)
    assert list(router.load_balancer) == [row]
    vip = world.northbound.store.find(nb.LogicalSwitchPort.name, balancer["vip_port_id"])
    assert not vip.addresses
    assert vip.external_ids["neutron:device_owner"] == "ovn-lb:vip"
    _, shown = await world.lb("GET", f"loadbalancers/{balancer['id']}")
    assert shown["loadbalancer"]["listeners"] == [{"id": listener["id"]}]
    assert shown["loadbalancer"]["pools"] == [{"id": pool["id"]}]
    _, shown = await world.lb("GET", f"pools/{pool['id']}")
    assert shown["pool"]["listeners"] == [{"id": listener["id"]}]
    assert len(shown["pool"]["members"]) == 2
    status, body = await world.lb("DELETE", f"loadbalancers/{balancer['id']}")
    assert (status, body["faultcode"]) == (400, "Client")
    assert "it has children" in body["faultstring"]
    assert (await world.lb("DELETE", f"loadbalancers/{balancer['id']}?cascade=true"))[0] == 204
    assert not world.balancers()
    assert not list(world.northbound.store.table(nb.LoadBalancerHealthCheck))
    assert all(not len(world.cloud.store.table(table)) for table in TABLES)
    assert [p.device_owner for p in world.cloud.store.table(cloud.Port)] == ["network:router_interface"]


async def test_a_whole_load_balancer_in_one_request(world):
    listener = {
        "protocol": "TCP", "protocol_port": 80, "name": "l",
        "default_pool": {
            "name": "p", "protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT",
            "session_persistence": {"type": "SOURCE_IP"},
            "members": [{"address": "10.0.0.11", "protocol_port": 80, "subnet_id": world.subnet, "weight": 2},
                        {"address": "10.0.0.12", "protocol_port": 80, "subnet_id": world.subnet}],
            "healthmonitor": {"type": "TCP", "delay": 3, "timeout": 2, "max_retries": 2},
        },
    }  # fmt: skip
    await world.create("port", network_id=world.network, fixed_ips=[{"ip_address": "10.0.0.11"}])
    made = await world.make("loadbalancer", vip_subnet_id=world.subnet, listeners=[listener])
    assert made["listeners"][0]["default_pool_id"] == made["pools"][0]["id"]
    assert made["pools"][0]["healthmonitor"]["type"] == "TCP"
    assert len(made["pools"][0]["members"]) == 2
    (row,) = world.balancers()
    vip = f"{made['vip_address']}:80"
    assert row.vips == {vip: "10.0.0.11:80,10.0.0.11:80,10.0.0.12:80"}
    assert row.options == {"reject": "true", "affinity_timeout": "360"}
    (check,) = row.health_check
    assert check.vip == vip
    assert check.options == {"interval": "3", "timeout": "2", "success_count": "2", "failure_count": "3"}
    (port,) = [p for p in world.cloud.store.table(cloud.Port) if p.device_owner == "ovn-lb-hm:distributed"]
    (source,) = port.referrers(cloud.FixedAddress.port)
    (member,) = [
        p
        for p in world.cloud.store.table(cloud.Port)
        if "10.0.0.11" in {f.address for f in p.referrers(cloud.FixedAddress.port)}
    ]
    assert row.ip_port_mappings == {"10.0.0.11": f"{member.uuid}:{source.address}"}


async def test_members_probed_elsewhere_and_backups(world):
    """The compiler itself lists the members that pass, and backup members if no other does."""
    ports = [
        await world.create("port", network_id=world.network, fixed_ips=[{"ip_address": f"10.0.0.{host}"}])
        for host in (11, 12)
    ]
    subnet = {"subnet_id": world.subnet, "protocol_port": 80}
    pool = {
        "name": "p", "protocol": "TCP", "lb_algorithm": "SOURCE_IP_PORT",
        "members": [{"address": "10.0.0.11", "monitor_port": 8081, **subnet},
                    {"address": "10.0.0.12", "backup": True, **subnet}],
        "healthmonitor": {"type": "TCP", "delay": 3, "timeout": 2, "max_retries": 2},
    }  # fmt: skip
    listener = {"protocol": "TCP", "protocol_port": 80, "default_pool": pool}
    made = await world.make("loadbalancer", vip_subnet_id=world.subnet, listeners=[listener])
    vip = f"{made['vip_address']}:80"

    def served():
        return next(row for row in world.balancers() if row.name == made["id"]).vips[vip]

    assert served() == "10.0.0.11:80"
    probes = next(row for row in world.balancers() if row.name == f"hm-{made['pools'][0]['id']}")
    assert probes.vips == {at: at for at in ("10.0.0.11:8081", "10.0.0.12:80")}
    assert {check.vip for check in probes.health_check} == probes.vips.keys()
    assert probes.ip_port_mappings.keys() == {"10.0.0.11", "10.0.0.12"}
    assert not any(row.load_balancer == [probes] for row in world.northbound.store.table(nb.LogicalSwitch))
    world.report(ports[0]["id"], "10.0.0.11", 8081, "tcp", "offline")
    assert served() == "10.0.0.12:80"
    _, shown = await world.lb("GET", f"loadbalancers/{made['id']}")
    assert shown["loadbalancer"]["operating_status"] == "DEGRADED"
    world.report(ports[0]["id"], "10.0.0.11", 8081, "tcp", "online")
    assert served() == "10.0.0.11:80"
