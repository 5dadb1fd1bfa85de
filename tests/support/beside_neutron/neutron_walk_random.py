"""The walk astray: networks, ports, routers and floating IPs made, moved and taken away at random."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from support.beside_neutron.neutron_walk import flat

if TYPE_CHECKING:
    from support.beside_neutron.side_by_side import Pair

BLOCKS = ("10.90.0.0/24", "10.90.0.0/25", "10.91.0.0/24", "10.92.0.0/29", "fd90::/64", "fd91::/64")
DELETABLE = ("floatingips", "ports", "routers", "subnets", "security-groups", "networks")


class Stray:
    """Somebody who does things at random, and remembers what is there.

    Arguments:
        pair: both APIs.
        seed: of what is done.
    """

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.random = random.Random(seed)
        self.there: dict[str, list[Any]] = {kind: [] for kind in DELETABLE}
        self.outside: list[str] = []

    def any(self, kind: str) -> Any:
        """Return something of a kind; nothing that can be if there is none."""
        return (
            self.random.choice(self.there[kind]) if self.there[kind] else {"id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}
        )

    def address(self) -> str:
        """Return an address that may be in a subnet."""
        return self.random.choice(("10.90.0.", "10.91.0.", "10.92.0.", "fd90::")) + str(self.random.randrange(8))

    async def make(self, kind: str, **values: Any) -> None:
        """Create something."""
        member = kind.removesuffix("s").replace("-", "_")
        status, body = await self.pair.ask("POST", kind, {member: values})
        if status == 201:
            self.there[kind].append(body[member])

    async def change(self, kind: str, **values: Any) -> None:
        """Change something."""
        await self.pair.ask("PUT", f"{kind}/{self.any(kind)['id']}", {kind.removesuffix("s").replace("-", "_"): values})

    async def step(self) -> None:
        """Do one thing."""
        ways = [
            lambda: self.make("networks", name="n", mtu=self.random.choice((0, 1300, 1200))),
            lambda: self.make("subnets", network_id=self.any("networks")["id"], **self.block()),
            lambda: self.make("ports", network_id=self.any("networks")["id"], **self.port()),
            lambda: self.make("ports", network_id=self.any("networks")["id"]),
            lambda: self.make("security-groups", name="g", stateful=self.random.random() < 0.5),
            lambda: self.make("routers", name="r"),
            lambda: self.make("floatingips", floating_network_id=self.outside[0], **self.stands_for()),
            lambda: self.change("ports", **self.port()),
            lambda: self.change("floatingips", **(self.stands_for() or {"port_id": None})),
            lambda: self.change("routers", external_gateway_info={"network_id": self.outside[0]}),
            lambda: self.change("routers", routes=[{"destination": "1.0.0.0/8", "nexthop": self.address()}]),
            lambda: self.change("routers", routes=[]),
            lambda: self.change("subnets", gateway_ip=self.random.choice((None, self.address()))),
            lambda: self.change("networks", admin_state_up=self.random.random() < 0.5),
            *[self.connect] * 3,
            self.remove,
        ]
        await self.random.choice(ways)()

    def block(self) -> dict[str, Any]:
        """Return what a subnet is of."""
        cidr = self.random.choice(BLOCKS)
        return {"cidr": cidr, "ip_version": 6 if ":" in cidr else 4, "enable_dhcp": self.random.random() < 0.7}

    def port(self) -> dict[str, Any]:
        """Return some attributes of a port."""
        values: dict[str, Any] = {
            "fixed_ips": [{"ip_address": self.address()}],
            "security_groups": [self.any("security-groups")["id"] for _ in range(2)]
            if self.there["security-groups"]
            else [],
            "allowed_address_pairs": [{"ip_address": self.address()}],
            "port_security_enabled": self.random.random() < 0.7,
            "device_id": self.random.choice(("", "vm")),
        }
        return {name: values[name] for name in self.random.sample(sorted(values), 2)}

    def stands_for(self) -> dict[str, Any]:
        """Return what a floating IP is to stand for, if anything."""
        return {"port_id": self.any("ports")["id"]} if self.random.random() < 0.7 else {}

    async def connect(self) -> None:
        """Give a router an interface, or take one away."""
        action = self.random.choice(("add", "add", "remove"))
        body = self.random.choice(({"subnet_id": self.any("subnets")["id"]}, {"port_id": self.any("ports")["id"]}))
        await self.pair.ask("PUT", f"routers/{self.any('routers')['id']}/{action}_router_interface", body)

    async def remove(self) -> None:
        """Delete something."""
        kind = self.random.choice(DELETABLE)
        gone = self.any(kind)
        status, _ = await self.pair.ask("DELETE", f"{kind}/{gone['id']}")
        if status == 204:
            self.there[kind].remove(gone)
            if kind == "networks":
                self.there["subnets"] = [s for s in self.there["subnets"] if s["network_id"] != gone["id"]]

    async def look(self) -> None:
        """Compare everything."""
        for kind, there in self.there.items():
            for one in there:
                await self.pair.ask("GET", f"{kind}/{one['id']}")


async def astray(pair: Pair, seed: int = 1, steps: int = 250) -> None:
    """Do things at random, and look what has become of everything now and then."""
    stray = Stray(pair, seed)
    out = await pair.make("network", name="aout", **{"router:external": True}, **flat(f"aout{seed}"))
    await pair.make("subnet", network_id=out["id"], cidr="198.18.0.0/24", ip_version=4)
    stray.outside.append(out["id"])
    for step in range(1, steps + 1):
        await stray.step()
        if step % 125 == 0:
            await stray.look()
