"""Swaps: in every arrangement of our programs and the originals, the first scene plays and its security group holds.

Each arrangement goes through the same proofs: addresses by DHCP, a ping across hosts, the ports that the security
group names and no others, a rule added and removed through the API, and an instance that leaves.
"""

from collections.abc import Callable

import pytest
from traffic import connects, serve

from ovenbird.lab import programs, scene
from ovenbird.lab.lab import Lab
from ovenbird.lab.process import wait_until

pytestmark = pytest.mark.live

CENTRAL = {
    "ours in one process": programs.all_in_one,
    "ours, a process each": programs.split(),
    "the original's database server": programs.split(server=programs.ORIGINAL_SERVER),
    "the original's northd": programs.split(northd=programs.ORIGINAL_NORTHD),
    "the original's database server and northd": programs.split(
        server=programs.ORIGINAL_SERVER, northd=programs.ORIGINAL_NORTHD
    ),
}
CONTROLLERS = {
    "ours": {},
    "the originals": dict.fromkeys(("hv1", "hv2"), programs.ORIGINAL_CONTROLLER),
    "ours on hv1, the original on hv2": {"hv2": programs.ORIGINAL_CONTROLLER},
    "the original on hv1, ours on hv2": {"hv1": programs.ORIGINAL_CONTROLLER},
}
ARRANGEMENTS = [
    *((central, controllers) for central in CENTRAL for controllers in ("ours", "the originals")),
    *(("ours in one process", mixed) for mixed in CONTROLLERS if "hv1" in mixed),
    *(("the original's database server and northd", mixed) for mixed in CONTROLLERS if "hv1" in mixed),
]


@pytest.mark.parametrize(("central", "controllers"), ARRANGEMENTS)
def test_the_first_scene(originals: None, make_lab: Callable[..., Lab], central: str, controllers: str) -> None:
    lab = make_lab(central=CENTRAL[central], controllers=CONTROLLERS[controllers])
    played = scene.play(lab, lambda _step: None)
    assert played.ping is not None
    assert "3 received" in played.ping
    source, target = played.instances
    address = target.address
    assert address is not None
    for instance in played.instances:
        assert instance.lease is not None
        assert "1442" in instance.run("ip", "link", "show", "eth0")
    assert "3 received" in target.run("ping", "-n", "-c", "3", "-i", "0.02", source.address or "")
    with serve(target, 22, 80), lab.neutron() as neutron:
        assert connects(source, address, 22)
        assert not connects(source, address, 80, 0.3)
        group = neutron.find("security_group", scene.SECURITY_GROUP)["id"]
        web = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}
        ingress = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
        rule = neutron.create("security_group_rule", **ingress, **web)
        wait_until(lambda: connects(source, address, 80, 0.3), "port 80 to open")
        neutron.delete("security_group_rule", rule["id"])
        wait_until(lambda: not connects(source, address, 80, 0.3), "port 80 to close")
        ports = {port["id"]: port for port in neutron.list("port", device_owner="compute:lab")}
        assert {ports[instance.port_id]["binding:host_id"] for instance in played.instances} == {"hv1", "hv2"}
    lab.delete(target.name)
    assert not [name for name in lab.processes() if name.startswith(target.name)]
    with lab.neutron() as neutron:
        assert target.port_id not in {port["id"] for port in neutron.list("port")}
    wait_until(lambda: not source.pings(address, wait=0.2), "the instance to be gone")
