"""Swaps: in every arrangement of our programs and the originals, the first scene plays and its security group holds."""

import sys
from collections.abc import Callable

import pytest

from ovenbird.lab import programs, scene
from ovenbird.lab.errors import CommandError
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab
from ovenbird.lab.process import ProcessSpec, wait_until

pytestmark = pytest.mark.live

ARRANGEMENTS = {
    "ours in one process": programs.all_in_one,
    "ours, a process each": programs.split(),
    "the original's database server": programs.split(server=programs.ORIGINAL_SERVER),
    "the original's northd": programs.split(northd=programs.ORIGINAL_NORTHD),
    "the original's database server and northd": programs.split(
        server=programs.ORIGINAL_SERVER, northd=programs.ORIGINAL_NORTHD
    ),
}

_LISTEN = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()"


def _listen(lab: Lab, instance: Instance, port: int) -> None:
    name = f"{instance.name}-tcp{port}"
    argv = (sys.executable, "-c", _LISTEN, str(port))
    lab.keep(ProcessSpec(name, argv, str(instance.rundir / f"{name}.log"), namespace=instance.namespace.name))
    wait_until(lambda: _connects(instance, "127.0.0.1", port), f"{instance.name} to listen on {port}")


def _connects(instance: Instance, address: str, port: int, patience: float = 1.0) -> bool:
    try:
        instance.run(sys.executable, "-c", _CONNECT, address, str(port), str(patience))
    except CommandError as error:
        if not any(word in error.stderr for word in ("timed out", "refused")):
            raise
        return False
    return True


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_the_first_scene_under_the_originals_controllers(
    originals: None, make_lab: Callable[..., Lab], arrangement: str
) -> None:
    controllers = dict.fromkeys(("hv1", "hv2"), programs.ORIGINAL_CONTROLLER)
    lab = make_lab(central=ARRANGEMENTS[arrangement], controllers=controllers)
    played = scene.play(lab, lambda _step: None)
    assert played.ping is not None
    assert "3 received" in played.ping
    source, target = played.instances
    assert target.address is not None
    for port in (22, 80):
        _listen(lab, target, port)
    assert _connects(source, target.address, 22)
    assert not _connects(source, target.address, 80, patience=0.3)
    with lab.neutron() as neutron:
        group = neutron.find("security_group", scene.SECURITY_GROUP)["id"]
        web = {"protocol": "tcp", "port_range_min": 80, "port_range_max": 80}
        ingress = {"security_group_id": group, "direction": "ingress", "ethertype": "IPv4"}
        rule = neutron.create("security_group_rule", **ingress, **web)
        wait_until(lambda: _connects(source, target.address or "", 80, 0.3), "port 80 to open")
        neutron.delete("security_group_rule", rule["id"])
        wait_until(lambda: not _connects(source, target.address or "", 80, 0.3), "port 80 to close")
        ports = {port["id"]: port for port in neutron.list("port", device_owner="compute:lab")}
        assert {ports[instance.port_id]["binding:host_id"] for instance in played.instances} == {"hv1", "hv2"}
    lab.delete(target.name)
    assert not [name for name in lab.processes() if name.startswith(target.name)]
    with lab.neutron() as neutron:
        assert target.port_id not in {port["id"] for port in neutron.list("port")}
