"""Availability zones in process: each has its databases, and the compiler between zones, on shared databases.

Southbound is filled by our northd, so that ports have bindings; chassis are rows that the test writes.
"""

from __future__ import annotations

from ovenbird.ic.availability_zone import ZoneRows
from ovenbird.ic.build import Stores, build
from ovenbird.model import ic_nb, ic_sb, nb, sb
from ovenbird.northd.build import build as build_northd
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.database import Database


def settle(engine, *databases):
    """Run waves until the databases are as the facts say; return whether anything was written."""
    wrote = False
    for _ in range(20):
        engine.run()
        assert not engine.failures
        changed = False
        for database in databases:
            transaction = database.transaction()
            for output in engine.outputs_of(database.store):
                output.plan(transaction)
            changed |= bool(transaction.commit().changes)
        if not changed:
            return wrote
        wrote = True
    raise AssertionError("the compiler does not come to rest")


class Shared:
    """The Interconnection databases, and the zones on them."""

    def __init__(self):
        self.nb = Database(ic_nb.schema(), ic_nb.ROWS)
        self.sb = Database(ic_sb.schema(), ic_sb.ROWS)
        self.zones = []

    def zone(self, name):
        zone = Zone(self, name)
        self.zones.append(zone)
        self.settle()
        return zone

    def settle(self):
        for _ in range(20):
            moved = [zone.settle() for zone in self.zones]
            if not any(moved):
                return
        raise AssertionError("the zones do not come to rest")

    def switch(self, name):
        row = insert(self.nb, ic_nb.TransitSwitch, name=name)
        self.settle()
        return row

    def all(self, row_class):
        return self.sb.store.table(row_class).all()

    def one(self, row_class, **values):
        return one(self.sb, row_class, **values)


class Zone:
    """One availability zone."""

    def __init__(self, shared, name):
        self.shared = shared
        self.nb = Database(nb.schema(), nb.ROWS)
        self.sb = Database(sb.schema(), sb.ROWS)
        self.head = insert(self.nb, nb.NBGlobal, name=name, options={"ic-route-adv": "true", "ic-route-learn": "true"})
        self.northd = build_northd(self.nb.store, sb_store=self.sb.store)
        self.mine = ZoneRows(shared.sb.store, name)
        self.findings = CompilerFindings()
        self.start()

    def start(self):
        stores = Stores(
            northbound=self.nb.store,
            southbound=self.sb.store,
            ic_northbound=self.shared.nb.store,
            ic_southbound=self.shared.sb.store,
        )
        self.engine = build(stores, self.mine)
        self.findings.observe(self.engine)

    def settle(self):
        below = settle(self.northd, self.sb, self.nb)
        return settle(self.engine, self.shared.sb, self.nb, self.sb, self.shared.nb) or below

    def rename(self, name):
        change(self.nb, self.head, name=name)
        assert self.mine.add(name)
        for output in self.engine.outputs.values():
            if output.mine is not None:
                output.review()
        self.shared.settle()

    def chassis(self, name, ip, **other_config):
        transaction = self.sb.transaction()
        encap = transaction.insert(sb.Encap, {"type": "geneve", "ip": ip, "chassis_name": name})
        values = {"name": name, "hostname": f"{name}.example", "encaps": frozenset({encap})}
        row = transaction.insert(sb.Chassis, values | {"other_config": {"is-interconn": "true"} | other_config})
        transaction.commit()
        self.shared.settle()
        return self.sb.store.table(sb.Chassis).get(row)

    def router(self, name, switch, number, *, networks=(), **options):
        """Add a router with a port on a transit switch, and ports on networks of its own."""
        transaction = self.nb.transaction()
        port = {"mac": f"aa:aa:aa:00:00:{number:02x}", "networks": frozenset({f"169.254.100.{number}/24"})}
        ports = [transaction.insert(nb.LogicalRouterPort, {"name": f"lrp-{name}-{switch}", "options": options} | port)]
        for at, network in enumerate(networks):
            inner = {"mac": f"aa:bb:{at:02x}:00:00:{number:02x}", "networks": frozenset({network})}
            ports.append(transaction.insert(nb.LogicalRouterPort, {"name": f"lrp-{name}-{at}"} | inner))
        router = transaction.insert(nb.LogicalRouter, {"name": name, "ports": frozenset(ports)})
        values = {"name": f"lsp-{switch}-{name}", "type": "router", "addresses": frozenset({"router"})}
        lsp = transaction.insert(nb.LogicalSwitchPort, values | {"options": {"router-port": f"lrp-{name}-{switch}"}})
        transaction.mutate(self.transit(switch), "ports", insert=[lsp])
        transaction.commit()
        self.shared.settle()
        return self.nb.store.table(nb.LogicalRouter).get(router)

    def transit(self, name):
        return one(self.nb, nb.LogicalSwitch, name=name)

    def one(self, row_class, **values):
        return one(self.nb if row_class in nb.ROWS else self.sb, row_class, **values)

    def all(self, row_class):
        return (self.nb if row_class in nb.ROWS else self.sb).store.table(row_class).all()

    def change(self, row, **values):
        change(self.nb if type(row) in nb.ROWS else self.sb, row, **values)
        self.shared.settle()


def insert(database, row_class, **values):
    transaction = database.transaction()
    uuid = transaction.insert(row_class, values)
    transaction.commit()
    return database.store.table(row_class).get(uuid)


def change(database, row, **values):
    transaction = database.transaction()
    transaction.update(row, values)
    transaction.commit()


def delete(database, *rows):
    transaction = database.transaction()
    for row in rows:
        transaction.delete(row)
    transaction.commit()


def one(database, row_class, **values):
    found = [r for r in database.store.table(row_class) if all(r[k] == v for k, v in values.items())]
    assert len(found) == 1, found
    return found[0]
