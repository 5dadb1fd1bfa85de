"""A Cloud and a Northbound database in process, with the compiler between them."""

from __future__ import annotations

from ovenbird import cloud as compiler
from ovenbird.model import cloud, nb, sb
from ovenbird.ovsdb.database import Database


class World:
    """Writes Cloud rows, runs the compiler, reads Northbound.

    Arguments:
        resources: the Cloud database; None for a new one.
        chassis: the Southbound database; None for a new one.
    """

    def __init__(self, resources=None, chassis=None):
        self.cloud = resources or Database(cloud.schema(), cloud.ROWS)
        self.nb = Database(nb.schema(), nb.ROWS)
        self.sb = chassis or Database(sb.schema(), sb.ROWS)
        self.engine = compiler.compiler(self.cloud.store, northbound=self.nb.store, southbound=self.sb.store)
        self.settle()

    def restart(self):
        """Start the compiler again over what is there."""
        self.engine.close()
        self.engine = compiler.compiler(self.cloud.store, northbound=self.nb.store, southbound=self.sb.store)
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

    def outside(self, **values):
        """Add an external network with a subnet."""
        network = self.network(external=True, mtu=1500)
        kind = {"network_type": "flat", "physical_network": "public"}
        self.add(cloud.NetworkSegment, network=network.uuid, **kind)
        given = {"cidr": "203.0.113.0/24", "gateway_ip": "203.0.113.1", "enable_dhcp": False}
        return network, self.subnet(network, **given | values)

    def router(self, **values):
        return self.add(cloud.Router, **{"name": "r", "admin_state_up": True} | values)

    def interface(self, router, addresses, **values):
        """Connect a router; the addresses are of one network."""
        subnet = addresses[0][0]
        owner = {"device_owner": "network:router_interface", "device_id": router.uuid, "port_security_enabled": False}
        port = self.port(subnet.network, addresses, **owner | values)
        ids = {"router": router.uuid, "network": subnet.network.uuid, "port": port.uuid}
        return self.add(cloud.RouterInterface, **ids)

    def gateway(self, router, addresses, *, enable_snat=True, place=0, **values):
        """Connect a router to the outside."""
        owner = {"device_owner": "network:router_gateway", "device_id": router.uuid, "port_security_enabled": False}
        port = self.port(addresses[0][0].network, addresses, **owner | values)
        ids = {"router": router.uuid, "port": port.uuid}
        return self.add(cloud.RouterGateway, **ids, place=place, enable_snat=enable_snat)

    def floating(self, interface, gateway, port, address, **values):
        """Add a floating IP that stands for the first address of a port."""
        outside = gateway.port.network
        subnet = outside.referrers(cloud.Subnet.network)[0]
        owner = {"device_owner": "network:floatingip", "port_security_enabled": False}
        held = self.port(outside, [(subnet, address)], **owner | values)
        floating = self.add(cloud.FloatingIP, network=outside.uuid, port=held.uuid)
        ends = {"interface": interface.uuid, "gateway": gateway.uuid}
        fixed = port.referrers(cloud.FixedAddress.port)[0].uuid
        ids = {"floating_ip": floating.uuid, "network": outside.uuid, "fixed": fixed}
        return self.add(cloud.FloatingIPAssociation, **ids | ends)

    def forwarding(self, floating, fixed, *, interface, gateway, **values):
        """Add a port forwarding of a floating IP to a fixed IP."""
        ends = {"floating_ip": floating.uuid, "fixed": fixed.uuid, "interface": interface.uuid, "gateway": gateway.uuid}
        return self.add(cloud.PortForwarding, **ends | values)

    def chassis(self, name, mappings="public:br-ex", options="enable-chassis-as-gw", **values):
        """Add a chassis to Southbound."""
        config = {"ovn-bridge-mappings": mappings, "ovn-cms-options": options}
        transaction = self.sb.transaction()
        encap = transaction.insert(sb.Encap, {"type": "geneve", "ip": name, "chassis_name": name})
        given = {"name": name, "hostname": name, "encaps": frozenset([encap]), "other_config": config}
        uuid = transaction.insert(sb.Chassis, given | values)
        transaction.commit()
        return self.sb.store.table(sb.Chassis).get(uuid)

    def fell(self, *chassis):
        """Remove chassis."""
        transaction = self.sb.transaction()
        for row in chassis:
            transaction.delete(row)
        transaction.commit()

    def configure(self, **options):
        rows = self.cloud.store.table(cloud.CloudGlobal).all()
        if rows:
            self.change(rows[0], options=options)
        else:
            self.add(cloud.CloudGlobal, options=options)
