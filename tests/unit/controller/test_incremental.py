"""After any edits, the flows are those that a controller would make that starts now."""

from __future__ import annotations

import random

import pytest

from ovenbird.controller.edits import EDIT
from ovenbird.controller.facts import MONITOR_CLAUSE, NOTICE, PROBED_BACKEND
from ovenbird.controller.physical.mirrors import DROP_MIRROR, NEW_MIRROR
from ovenbird.controller.physical.queues import DROP_QOS, DROP_QUEUE, NEW_QOS, NEW_QUEUE
from ovenbird.model import sb, vswitch
from support.controller.world import World

FLOWS = (
    ("ip4", "next;"),
    ('inport == "p1" && eth.src == 0a:00:00:00:00:01', "next;"),
    ("inport == @pg && ip4.src == $as", "next;"),
    ('outport == "p2" && tcp.dst == {22, 80}', "drop;"),
    ("eth.mcast", 'outport = "_MC_flood"; output;'),
    ("ip4.src == {10.0.0.1, 10.0.0.9, 10.0.1.1} && udp.dst == {5, 9, 14}", 'outport = "p3"; output;'),
    ("ip4.dst == ^virtual && tcp.dst == ^number", "next;"),
)
SWITCH_EDITS = (NEW_MIRROR, DROP_MIRROR, NEW_QOS, NEW_QUEUE, DROP_QUEUE, DROP_QOS)
OUTPUTS = (*SWITCH_EDITS, MONITOR_CLAUSE, NOTICE, PROBED_BACKEND)
"""What the rules of features yield besides flows, which has no numbers of its own."""
EDITED = (sb.PortBinding, vswitch.Interface, vswitch.Mirror, vswitch.Queue)


class Written:
    """Puts edits into the rows of a world as a database would, without checks."""

    def __init__(self, world: World) -> None:
        self._world = world

    def insert(self, row_class, values):
        return self._world.add(row_class, **values).uuid

    def update(self, row, values):
        self._world.set(row, **values)

    def delete(self, row):
        self._world.delete(row)

    def mutate(self, row, column, *, insert=(), delete=()):
        value = row.values[type(row).BY_NAME[column].index]
        if isinstance(value, dict):
            new = {key: each for key, each in value.items() if key not in delete} | dict(insert)
        else:
            new = value.difference(delete) | frozenset(insert)
        self._world.set(row, **{column: new})


class Scene:
    """A world that is changed at random; `rebuilt` is the same world made anew."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = watched(World())
        self.switches = [self.world.switch(n) for n in (1, 2)]
        self.ports, self.plugged, self.flows = {}, {}, []
        self.group = [
            self.world.add(sb.MulticastGroup, datapath=s.uuid, name="_MC_flood", tunnel_key=0x8000)
            for s in self.switches
        ]
        self.pg = [self.world.add(sb.PortGroup, name=f"{n}_pg") for n in (1, 2)]
        self.set = self.world.add(sb.AddressSet, name="as", addresses=frozenset(["10.0.0.1"]))
        self.mirrors, self.monitors, self.sinks = {}, {}, {}
        self.variables = self.world.add(sb.ChassisTemplateVar, chassis="hv1")
        self.uplinks = [self.world.port_on_bridge(name, ofport) for name, ofport in (("eth0", 50), ("eth1", 51))]
        for _ in range(30):
            self.network()

    def edit(self) -> None:
        """Change something: the network, or what a feature makes of it."""
        if self.random.random() < 0.3:
            self.network()
        else:
            self.random.choice((self.mirror, self.queue, self.template, self.monitor, self.write))()

    def mirror(self) -> None:
        """Add, change or remove a mirror or the sink of a local one, or attach a port to it or detach it."""
        choose, world, name = self.random.choice, self.world, f"m{self.random.randint(1, 3)}"
        match self.random.randint(0, 3):
            case 0 if name in self.mirrors:
                row = self.mirrors.pop(name)
                for port, _ in self.ports.values():
                    world.set(port, mirror_rules=port["mirror_rules"] - {row.uuid})
                world.delete(row)
            case 0 | 1:
                kind, way = choose(["gre", "erspan", "local"]), choose(["from-lport", "to-lport", "both"])
                values = {"type": kind, "filter": way, "sink": choose(["192.0.2.8", "fd00::8", "probe"])}
                if name in self.mirrors:
                    world.set(self.mirrors[name], **values)
                else:
                    self.mirrors[name] = world.add(sb.Mirror, name=name, index=int(name[1:]), **values)
            case 2 if self.mirrors and self.ports:
                port, _ = choose([*self.ports.values()])
                world.set(port, mirror_rules=port["mirror_rules"] ^ {choose([*self.mirrors.values()]).uuid})
            case 3 if "probe" in self.sinks:
                world.unplug(self.sinks.pop("probe"))
            case 3:
                self.sinks["probe"] = world.port_on_bridge("probe0", 60)
                world.set(self.sinks["probe"], external_ids={"mirror-id": "probe"})

    def queue(self) -> None:
        """Give a port a queue or take it away, or have a physical interface have queues or none."""
        choose, world = self.random.choice, self.world
        if self.random.random() < 0.3:
            uplink = choose(self.uplinks)
            world.set(uplink, external_ids={} if uplink["external_ids"] else {"ovn-egress-iface": "true"})
        elif self.ports:
            port, _ = choose([*self.ports.values()])
            rates = {"qdisc_queue_id": choose(["1", "2", "3"]), "qos_max_rate": choose(["1000", "2000", "x"])}
            world.set(port, options=choose([{}, rates]))

    def template(self) -> None:
        """Change the variables of this chassis."""
        choose = self.random.choice
        values = {"virtual": choose([None, "10.0.0.7", "{10.0.0.7, 10.0.0.8}"]), "number": choose([None, "80", "no"])}
        self.world.set(self.variables, variables={name: value for name, value in values.items() if value})

    def monitor(self) -> None:
        """Add, change or remove the probe of a backend."""
        choose, world = self.random.choice, self.world
        name = f"p{self.random.randint(1, 6)}"
        values = {"port": choose([80, 81]), "options": choose([{}, {"interval": "9"}])}
        if name not in self.monitors:
            ends = {"ip": "10.0.0.1", "src_ip": "10.0.0.254", "src_mac": "0a:00:00:00:00:fe", "protocol": "tcp"}
            self.monitors[name] = world.add(sb.ServiceMonitor, logical_port=name, **ends, **values)
        elif self.random.random() < 0.5:
            world.delete(self.monitors.pop(name))
        else:
            world.set(self.monitors[name], **values)
        if name in self.ports:
            world.set(self.ports[name][0], mac=frozenset(["0a:00:00:00:00:01 10.0.0.1"]), up=choose([True, False]))

    def write(self) -> None:
        """Write one of the edits of the switch that are outstanding."""
        edits = [fact for kind in SWITCH_EDITS for fact in self.world.facts[kind]]
        edits += [fact for fact in self.world.facts[EDIT] if fact.row_class in EDITED[2:]]
        if edits:
            self.random.choice(sorted(edits, key=repr)).stage(self.world.vs, Written(self.world))

    def network(self) -> None:
        """Change ports, groups, sets or logical flows."""
        choose, world = self.random.choice, self.world
        name = f"p{self.random.randint(1, 6)}"
        match self.random.randint(0, 7):
            case 0:
                if name not in self.ports:
                    side = self.random.randint(0, 1)
                    kind = choose(["", "", "", "localport"])
                    row = world.lport(self.switches[side], name, int(name[1:]), type=kind)
                    self.ports[name] = (row, side)
            case 1:
                if name in self.ports:
                    row, side = self.ports.pop(name)
                    for table, column in ((self.group[side], "ports"), (self.pg[side], "ports")):
                        world.set(table, **{column: table[column] - {row.uuid, name}})
                    world.delete(row)
            case 2:
                if name in self.plugged:
                    world.unplug(self.plugged.pop(name))
                else:
                    self.plugged[name] = world.port_on_bridge(f"tap{name}", int(name[1:]) + 10, iface_id=name)
            case 3:
                if name in self.ports:
                    world.set(self.ports[name][0], chassis=choose([None, world.me.uuid, world.other.uuid]))
            case 4:
                if name in self.ports:
                    row, side = self.ports[name]
                    world.set(self.group[side], ports=self.group[side]["ports"] ^ {row.uuid})
            case 5:
                if name in self.ports:
                    _, side = self.ports[name]
                    world.set(self.pg[side], ports=self.pg[side]["ports"] ^ {name})
            case 6:
                world.set(self.set, addresses=self.set["addresses"] ^ {choose(["10.0.0.1", "10.0.0.9", "10.0.3.7"])})
            case 7:
                if self.flows and self.random.random() < 0.3:
                    world.delete(self.flows.pop())
                else:
                    where = choose([*self.switches, self.switches])
                    self.flows.append(world.flow(where, *choose(FLOWS), pipeline=choose(["ingress", "egress"])))

    def rebuilt(self) -> World:
        """Return a world with the same rows, whose rules have seen nothing else."""
        again = watched(World())
        for store, twin in ((self.world.sb, again.sb), (self.world.vs, again.vs)):
            for table in twin.tables.values():
                for row in list(table.rows.values()):
                    table.delete(row)
                for row in store.table(table.row_class).rows.values():
                    table.insert(row.uuid, list(row.values))
        return again


def watched(world: World) -> World:
    """Return a world that keeps what the features' rules yield."""
    world.facts |= {kind: set() for kind in OUTPUTS}
    return world


def told(world: World) -> dict:
    """Return what the rules yield besides flows."""
    edits = {fact for fact in world.facts[EDIT] if fact.row_class in EDITED}
    return {kind.name: world.facts[kind] for kind in OUTPUTS} | {EDIT.name: edits}


def comparable(world: World) -> dict:
    """Return the flows without what is numbered by order of appearance: zones and conjunctions."""
    flows = {}
    for (table, priority, match), content in world.desired().items():
        if b"\x00\x01\x4a\x04" in match or (table in (8, 42) and content[1] == 0):  # conj_id, clauses
            continue
        if table in (0, 40) or table == 39:
            flows[table, priority, match] = len(content[0])
        else:
            flows[table, priority, match] = content
    return flows


@pytest.mark.parametrize("seed", range(6))
def test_incremental_equals_from_scratch(seed):
    scene = Scene(seed)
    scene.world.run()
    for _ in range(30):
        for _ in range(scene.random.randint(1, 3)):
            scene.edit()
        scene.world.run()
        again = scene.rebuilt()
        again.run()
        assert comparable(scene.world) == comparable(again)
        assert told(scene.world) == told(again)


def test_nothing_is_left_behind():
    world = World()
    switch = world.switch(1)
    world.run()

    def cycle() -> tuple[int, int, int, int]:
        port = world.lport(switch, "p1", 1)
        interface = world.port_on_bridge("tap1", 5, iface_id="p1")
        row = world.flow(switch, 'inport == "p1" && ip4.src == {1.1.1.1, 2.2.2.2} && tcp.dst == {1, 4, 7}', "next;")
        world.run()
        world.unplug(interface)
        world.delete(row)
        world.delete(port)
        world.run()
        return len(world.engine.memo), len(world.engine.owners), world.engine.run_count(), len(world.desired())

    first = cycle()
    assert [cycle() for _ in range(3)] == [first] * 3
