"""Logs of security groups: a controller writes a line about a packet that a group accepts, and one that it drops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.waiting import until

if TYPE_CHECKING:
    from support.live.routed_world import World

pytestmark = pytest.mark.live


def test_accepted_and_dropped_packets_are_logged(world: World) -> None:
    logs = [world.lab.layout.host_rundir(host) / "controller.log" for host in ("hv1", "hv2")]

    def level(word: str) -> None:  # the lab's controllers write to standard error, where only warnings go otherwise
        for host in ("hv1", "hv2"):
            world.hypervisor(host).appctl("vlog/set", f"acl_log:console:{word}", target="ovn-controller")

    def said(*words: str) -> bool:
        lines = [line for log in logs for line in log.read_text().splitlines()]
        return any(all(word in line for word in words) for line in lines)

    with world.lab.neutron() as neutron:
        group = neutron.create("security_group", name="logged")["id"]
        neutron.create("security_group_rule", security_group_id=group, direction="ingress", protocol="icmp")
        level("info")
        made = neutron.create("log", resource_type="security_group", resource_id=group)
        try:
            logged = world.lab.boot("logged", network="red", host="hv1", security_groups=("logged",))
            try:
                name, address, sender = f'name="neutron-{made["id"]}"', logged.address or "", world["red2"]
                until(lambda: sender.pings(address, wait=0.3), what="the instance to answer")
                allowed = (name, "verdict=allow", "direction=to-lport", f"nw_dst={address}", "icmp")
                until(lambda: said(*allowed), what="a line about the accepted packet")

                def dropped() -> bool:
                    sender.run("bash", "-c", f"echo > /dev/udp/{address}/7")
                    return said(name, "verdict=drop", "direction=to-lport", f"nw_dst={address}", "udp", "tp_dst=7")

                until(dropped, what="a line about the dropped packet")
            finally:
                world.lab.delete("logged")
        finally:
            level("warn")
            neutron.delete("log", made["id"])
            neutron.delete("security_group", group)
