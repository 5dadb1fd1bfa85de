"""A Cloud and a Northbound database in process, with the compiler between them."""

from __future__ import annotations

from ovenbird import cloud as compiler
from ovenbird.model import cloud, nb
from ovenbird.ovsdb.database import Database


class World:
    """Writes Cloud rows, runs the compiler, reads Northbound."""

    def __init__(self):
        self.cloud = Database(cloud.schema(), cloud.ROWS)
        self.nb = Database(nb.schema(), nb.ROWS)
        self.engine = compiler.compiler(self.cloud.store, self.nb.store)
        self.settle()

    def settle(self):
        """Run waves until Northbound is as the facts say; return how many transactions that took."""
        for turn in range(5):
            self.engine.run()
            transaction = self.nb.transaction()
            for output in self.engine.outputs.values():
                output.plan(transaction)
            if not transaction.commit().changes:
                assert not self.engine.failures
                return turn
        raise AssertionError("the compiler does not come to rest")

    def add(self, row_class, **values):
        transaction = self.cloud.transaction()
        uuid = transaction.insert(row_class, values)
        transaction.commit()
        return self.cloud.store.table(row_class).get(uuid)

    def change(self, row, **values):
        transaction = self.cloud.transaction()
        transaction.update(row, values)
        transaction.commit()

    def drop(self, *rows):
        transaction = self.cloud.transaction()
        for row in rows:
            transaction.delete(row)
        transaction.commit()

    def one(self, row_class, **values):
        """Return the only Northbound row with these values."""
        found = [r for r in self.nb.store.table(row_class) if all(r[k] == v for k, v in values.items())]
        assert len(found) == 1, found
        return found[0]

    def all(self, row_class):
        return self.nb.store.table(row_class).all()

    def network(self, **values):
        return self.add(cloud.Network, **{"name": "net", "mtu": 1442, "admin_state_up": True} | values)

    def subnet(self, network, **values):
        given = {"network": network.uuid, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "enable_dhcp": True}
        return self.add(cloud.Subnet, **given | values)

    def group(self, **values):
        return self.add(cloud.SecurityGroup, **{"name": "web", "stateful": True} | values)

    def rule(self, group, **values):
        given = {"security_group": group.uuid, "direction": "ingress", "ethertype": "IPv4"}
        return self.add(cloud.SecurityGroupRule, **given | values)

    def port(self, network, addresses=(), groups=(), **values):
        given = {
            "network": network.uuid,
            "mac_address": "fa:16:3e:00:00:01",
            "admin_state_up": True,
            "port_security_enabled": True,
            "vnic_type": "normal",
            "security_groups": frozenset(g.uuid for g in groups),
        }
        transaction = self.cloud.transaction()
        uuid = transaction.insert(cloud.Port, given | values)
        for subnet, address in addresses:
            transaction.insert(cloud.FixedAddress, {"port": uuid, "subnet": subnet.uuid, "address": address})
        transaction.commit()
        return self.cloud.store.table(cloud.Port).get(uuid)
