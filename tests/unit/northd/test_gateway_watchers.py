"""After every random edit: the chassis that depend on a gateway are those that a plain walk over the network finds."""

import random

import pytest

from ovenbird.model import nb, sb
from support.northd.gateways import bind, candidates, chassis
from support.northd.networks import Networks

HOSTS = ("hv1", "hv2", "hv3", "hv4")


class World:
    """Routers, switches, and joints between them, edited at random."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.made = made = Networks()
        made.insert(nb.NBGlobal)
        self.chassis = {name: chassis(made, name) for name in HOSTS}
        self.routers = [made.insert(nb.LogicalRouter, name=f"r{n}") for n in range(4)]
        self.switches = [made.switch(f"s{n}") for n in range(5)]
        for n, switch in enumerate(self.switches):
            for p in (0, 1):
                made.port(switch, f"vm{n}{p}", f"00:00:00:00:{n:02x}:{p:02x}")
        self.count = 0
        for _ in range(12):
            self.edit()
        made.settle()

    def rows(self, row_class):
        return list(self.made.nb.store.table(row_class).rows.values())

    def edit(self):
        edits = (self.join, self.join, self.link, self.part, self.candidate, self.candidate, self.bind, self.bind,
                 self.bind, self.physical, self.disable)  # fmt: skip
        self.dice.choice(edits)()

    def new_port(self, router, **values):
        self.count += 1
        return self.made.insert(
            nb.LogicalRouterPort, (router, "ports"), name=f"lrp{self.count}",
            mac=f"00:00:00:01:00:{self.count:02x}", networks=frozenset([f"10.{self.count}.0.254/24"]), **values,
        )  # fmt: skip

    def join(self):
        lrp = self.new_port(self.dice.choice(self.routers))
        options = {"router-port": lrp.name}
        self.made.port(self.dice.choice(self.switches), f"to-{lrp.name}", "router", type="router", options=options)

    def link(self):
        first, second = (self.new_port(router) for router in self.dice.sample(self.routers, 2))
        self.made.update(first, peer=second.name)
        self.made.update(second, peer=first.name)

    def part(self):
        if ports := self.rows(nb.LogicalRouterPort):
            lrp = self.dice.choice(ports)
            self.made.delete(lrp, (lrp.referrer(nb.LogicalRouter.ports), "ports"))

    def candidate(self):
        if ports := self.rows(nb.LogicalRouterPort):
            lrp = self.dice.choice(ports)
            if lrp.gateway_chassis:
                self.made.update(lrp, gateway_chassis=frozenset())
            else:
                candidates(self.made, lrp, *self.dice.sample(HOSTS, self.dice.choice((1, 2, 3))))

    def bind(self):
        bound = {row.logical_port for row in self.made.rows(sb.PortBinding)}
        name = f"vm{self.dice.randrange(5)}{self.dice.randrange(2)}"
        if name in bound:
            bind(self.made, name, self.chassis.get(self.dice.choice((*HOSTS, ""))))

    def physical(self):
        switch = self.dice.choice(self.switches)
        name = f"ln-{switch.name}"
        there = [row for row in switch.ports if row.name == name]
        if there:
            self.made.delete(there[0], (switch, "ports"))
        else:
            self.made.port(switch, name, "unknown", type="localnet", options={"network_name": "phys"})

    def disable(self):
        router = self.dice.choice(self.routers)
        self.made.update(router, enabled=None if router.enabled is False else False)

    # -- the walk -------------------------------------------------------------------------------------------------

    def expected(self):
        """Return the names of the chassis by group."""
        places = {row.logical_port: row.chassis.name for row in self.made.rows(sb.PortBinding) if row.chassis}
        found = {}
        for lrp in self.rows(nb.LogicalRouterPort):
            router = lrp.referrer(nb.LogicalRouter.ports)
            if lrp.gateway_chassis and router.enabled is not False:
                near = {place for name, place in places.items() if self.switches[int(name[2])] in self.around(router)}
                found[lrp.name] = sorted(near) if len(lrp.gateway_chassis) > 1 else []
        return found

    def around(self, router):
        """Return the switches that lead to a router."""
        routers, switches, ahead = {router}, set(), [router]
        while ahead:
            at = ahead.pop()
            for lrp in at.ports:
                on = self.switch_of(lrp)
                others = set()
                if lrp.peer:
                    others |= {p.referrer(nb.LogicalRouter.ports) for p in self.rows(nb.LogicalRouterPort)
                               if p.name == lrp.peer}  # fmt: skip
                elif on is not None and not self.is_outside(lrp, on):
                    switches.add(on)
                    others |= {
                        p.referrer(nb.LogicalRouter.ports) for p in self.rows(nb.LogicalRouterPort)
                        if self.switch_of(p) is on and not self.is_outside(p, on)
                    }  # fmt: skip
                for other in others:
                    if other.enabled is not False and other not in routers:
                        routers.add(other)
                        ahead.append(other)
        return switches

    def switch_of(self, lrp):
        for lsp in self.rows(nb.LogicalSwitchPort):
            if lsp.options.get("router-port") == lrp.name:
                return lsp.referrer(nb.LogicalSwitch.ports)
        return None

    def is_outside(self, lrp, switch):
        return bool(lrp.gateway_chassis) and any(row.type == "localnet" for row in switch.ports)


@pytest.mark.parametrize("seed", range(6))
def test_random_edits(seed):
    world = World(seed)
    watched = 0
    for _ in range(60):
        world.edit()
        world.made.settle()
        groups = {g.name: sorted(c.name for c in g.ref_chassis) for g in world.made.rows(sb.HAChassisGroup)}
        assert groups == world.expected()
        watched += any(groups.values())
    assert watched
