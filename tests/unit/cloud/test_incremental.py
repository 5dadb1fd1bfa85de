"""After any edits, what the compiler keeps up to date is what it would make from scratch."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ovenbird.cloud import compiler
from ovenbird.model import cloud, nb, sb
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import ConstraintViolation
from support.cloud.world import World


def contents(database):
    """The rows by what identifies them to people: no UUIDs, references by name or by content."""
    store = database.store
    switches = {
        s.name: (s.external_ids, s.other_config, frozenset(p.name for p in s.ports))
        for s in store.table(nb.LogicalSwitch)
    }
    ports = {}
    for p in store.table(nb.LogicalSwitchPort):
        dhcp = [o and (o.cidr, sorted(o.options.items())) for o in (p.dhcpv4_options, p.dhcpv6_options)]
        nested = p.parent_name, p.tag_request
        ports[p.name] = (
            p.type, p.addresses, p.port_security, p.enabled, nested, p.options, dhcp, p.external_ids, standing_in(p)
        )  # fmt: skip
    groups = {
        g.name: (
            g.external_ids,
            frozenset(p.name for p in g.ports),
            frozenset((a.direction, a.priority, a.match, a.action) for a in g.acls),
        )
        for g in store.table(nb.PortGroup)
    }
    options = sorted(
        (o.cidr, sorted(o.options.items()), sorted(o.external_ids.items())) for o in store.table(nb.DHCPOptions)
    )
    return switches, ports, groups, options, len(store.table(nb.ACL)), routed(store)


def standing_in(port):
    """The chassis of a port's group; how they are placed where gateways are is not a function of Cloud alone."""
    group = port.ha_chassis_group
    return group and (group.name, frozenset(h.chassis_name for h in group.ha_chassis))


def routed(store):
    """What routers are made of; which chassis carry a gateway is not a function of Cloud alone."""
    routers = {}
    for r in store.table(nb.LogicalRouter):
        routes = sorted((s.ip_prefix, s.nexthop, str(s.output_port)) for s in r.static_routes)
        nat = sorted((n.type, n.external_ip, n.logical_ip, str(n.logical_port)) for n in r.nat)
        routers[r.name] = (r.enabled, r.external_ids, routes, nat, frozenset(p.name for p in r.ports))
    router_ports = {
        p.name: (p.mac, p.networks, p.options, p.ipv6_ra_configs, p.external_ids, len(p.gateway_chassis))
        for p in store.table(nb.LogicalRouterPort)
    }
    names = sorted(sorted(d.records.items()) for s in store.table(nb.LogicalSwitch) for d in s.dns_records)
    counts = [len(store.table(c)) for c in (nb.NAT, nb.LogicalRouterStaticRoute, nb.GatewayChassis, nb.DNS)]
    return routers, router_ports, names, counts


class Editing(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.world = World()
        self.counter = 0

    def pick(self, data, row_class):
        rows = self.world.cloud.store.table(row_class).all()
        return data.draw(st.sampled_from(rows)) if rows else None

    def next(self):
        self.counter += 1
        return self.counter

    @rule(mtu=st.sampled_from([1442, 1500]))
    def add_network(self, mtu):
        self.world.network(name=f"n{self.next()}", mtu=mtu)

    @rule(data=st.data(), kind=st.sampled_from(["vlan", "geneve"]))
    def add_segment(self, data, kind):
        if network := self.pick(data, cloud.Network):
            n = self.next()
            physical = "phys" if kind == "vlan" else None
            self.world.add(
                cloud.NetworkSegment,
                network=network.uuid, network_type=kind, physical_network=physical, segmentation_id=n,
            )  # fmt: skip

    @rule(data=st.data(), dhcp=st.booleans())
    def add_subnet(self, data, dhcp):
        if network := self.pick(data, cloud.Network):
            n = self.next()
            self.world.subnet(network, cidr=f"10.{n}.0.0/24", gateway_ip=f"10.{n}.0.1", enable_dhcp=dhcp)

    @rule(stateful=st.booleans())
    def add_group(self, stateful):
        self.world.group(stateful=stateful)

    @rule(data=st.data(), remote=st.booleans())
    def add_rule(self, data, remote):
        if group := self.pick(data, cloud.SecurityGroup):
            n = self.next()
            other = self.pick(data, cloud.SecurityGroup).uuid if remote else None
            self.world.rule(group, protocol="tcp", port_range_min=n, port_range_max=n, remote_group=other)

    @rule(data=st.data(), secured=st.booleans(), extra=st.sampled_from([{}, {"mtu": "1000"}]))
    def add_port(self, data, secured, extra):
        if network := self.pick(data, cloud.Network):
            n = self.next()
            fixed = [(s, s.cidr.replace(".0/24", f".{n % 200 + 2}")) for s in network.referrers(cloud.Subnet.network)]
            group = self.pick(data, cloud.SecurityGroup)
            self.world.port(
                network, fixed, [group] if group and secured else [],
                mac_address=f"fa:16:3e:00:00:{n % 256:02x}", port_security_enabled=secured, dhcpv4_options=extra,
            )  # fmt: skip

    @rule(data=st.data(), change=st.sampled_from([{"name": "x"}, {"mtu": 1300}, {"revision_number": 5}]))
    def change_network(self, data, change):
        if network := self.pick(data, cloud.Network):
            self.world.change(network, **change)

    @rule(data=st.data(), change=st.sampled_from([{"enable_dhcp": False}, {"enable_dhcp": True}, {"gateway_ip": None}]))
    def change_subnet(self, data, change):
        if subnet := self.pick(data, cloud.Subnet):
            self.world.change(subnet, **change)

    @rule(
        data=st.data(),
        change=st.sampled_from(
            [
                {"admin_state_up": False},
                {"host": "hv1"},
                {"host": ""},
                {"vnic_type": "baremetal"},
                {"vnic_type": "normal"},
                {"binding_profile": '{"migrating_to": "hv2"}'},
                {"binding_profile": '{"parent_name": "p", "tag": 7}'},
                {"vnic_type": "direct"},
                {"device_owner": "network:distributed"},
                {"port_security_enabled": True},
                {"security_groups": frozenset()},
                {"dhcpv4_options": {}},
                {"dns_name": "web"},
                {"mac_address": "fa:16:3e:99:99:99"},
            ]
        ),
    )
    def change_port(self, data, change):
        if port := self.pick(data, cloud.Port):
            with contextlib.suppress(ConstraintViolation):  # a MAC that another port of the network has
                self.world.change(port, **change)

    @rule(data=st.data(), mac=st.booleans())
    def share_address(self, data, mac):
        port, fixed = self.pick(data, cloud.Port), self.pick(data, cloud.FixedAddress)
        if port and fixed:
            pair = f"{port.mac_address if mac else 'fa:16:3e:77:77:77'} {fixed.address}"
            self.world.change(port, allowed_address_pairs=frozenset([pair]))

    @rule(data=st.data())
    def add_router(self, data):
        world = self.world
        router = world.router(name=f"r{self.next()}")
        for subnet in world.cloud.store.table(cloud.Subnet).all():
            if data.draw(st.booleans()):
                n = self.next()
                address = subnet.cidr.replace(".0/24", f".{n % 200 + 2}")
                world.interface(router, [(subnet, address)], mac_address=f"fa:16:3e:00:03:{n % 256:02x}")

    @rule(data=st.data(), snat=st.booleans())
    def add_gateway(self, data, snat):
        world = self.world
        router = self.pick(data, cloud.Router)
        if router is None or router.referrers(cloud.RouterGateway.router):
            return
        if not hasattr(world, "outer_subnet"):
            world.outer_subnet = world.outside()[1]
        n = self.next()
        place = [(world.outer_subnet, f"203.0.113.{n % 200 + 2}")]
        world.gateway(router, place, enable_snat=snat, mac_address=f"fa:16:3e:00:04:{n % 256:02x}")

    @rule(data=st.data())
    def add_floating_ip(self, data):
        world = self.world
        interface, gateway = self.pick(data, cloud.RouterInterface), self.pick(data, cloud.RouterGateway)
        port = self.pick(data, cloud.Port)
        fixed = port.referrers(cloud.FixedAddress.port) if port else []
        if not (interface and gateway and fixed) or fixed[0].referrers(cloud.FloatingIPAssociation.fixed):
            return
        n = self.next()
        mac = f"fa:16:3e:00:05:{n % 256:02x}"
        world.floating(interface, gateway, port, f"203.0.114.{n % 200 + 2}", mac_address=mac)

    @rule(data=st.data(), protocol=st.sampled_from(["tcp", "udp"]))
    def add_port_forwarding(self, data, protocol):
        floating, fixed = self.pick(data, cloud.FloatingIP), self.pick(data, cloud.FixedAddress)
        interface, gateway = self.pick(data, cloud.RouterInterface), self.pick(data, cloud.RouterGateway)
        if floating and fixed and interface and gateway:
            ports = {"protocol": protocol, "external_port": self.next(), "internal_port": self.next()}
            self.world.forwarding(floating, fixed, interface=interface, gateway=gateway, **ports)

    @rule(data=st.data())
    def add_trunk(self, data):
        port = self.pick(data, cloud.Port)
        if port and not port.referrers(cloud.Trunk.port):
            self.world.add(cloud.Trunk, port=port.uuid, name=f"t{self.next()}", admin_state_up=True)

    @rule(data=st.data())
    def add_sub_port(self, data):
        trunk, port = self.pick(data, cloud.Trunk), self.pick(data, cloud.Port)
        if trunk and port and not port.referrers(cloud.SubPort.port):
            self.world.add(cloud.SubPort, trunk=trunk.uuid, port=port.uuid, segmentation_id=self.next())

    @rule(data=st.data())
    def drop_sub_port(self, data):
        if sub_port := self.pick(data, cloud.SubPort):
            self.world.drop(sub_port)

    @rule(
        data=st.data(),
        row_class=st.sampled_from([cloud.FloatingIPAssociation, cloud.PortForwarding, cloud.RouterInterface]),
    )
    def drop_what_routes(self, data, row_class):
        row = self.pick(data, row_class)
        users = (cloud.FloatingIPAssociation.interface, cloud.PortForwarding.interface)
        if row and not (row_class is cloud.RouterInterface and any(map(row.referrers, users))):
            self.world.drop(row)

    @rule(data=st.data(), routes=st.sets(st.sampled_from(["10.8.0.0/16 10.1.0.9", "0.0.0.0/0 10.1.0.8"])))
    def change_router(self, data, routes):
        if router := self.pick(data, cloud.Router):
            self.world.change(router, routes=frozenset(routes))

    @rule(name=st.sampled_from(["gw1", "gw2"]))
    def come_and_go(self, name):
        found = self.world.sb.store.table(sb.Chassis).find(sb.Chassis.name, name)
        if found is None:
            self.world.chassis(name)
        else:
            self.world.fell(found)

    @rule(distributed=st.sampled_from(["true", "false"]))
    def configure(self, distributed):
        self.world.configure(distributed_floating_ip=distributed)

    @rule(data=st.data())
    def drop_port(self, data):
        port = self.pick(data, cloud.Port)
        needed = (
            cloud.RouterInterface.port, cloud.RouterGateway.port, cloud.FloatingIP.port, cloud.Trunk.port,
            cloud.SubPort.port,
        )  # fmt: skip
        if port and not any(port.referrers(column) for column in needed):
            for fixed in port.referrers(cloud.FixedAddress.port):
                for column in (cloud.FloatingIPAssociation.fixed, cloud.PortForwarding.fixed):
                    for user in fixed.referrers(column):
                        self.world.drop(user)
            self.world.drop(port, *port.referrers(cloud.FixedAddress.port))

    @rule(data=st.data())
    def drop_rule(self, data):
        if security_rule := self.pick(data, cloud.SecurityGroupRule):
            self.world.drop(security_rule)

    @rule(
        data=st.data(),
        row_class=st.sampled_from(
            [nb.LogicalSwitch, nb.PortGroup, nb.DHCPOptions, nb.LogicalRouter, nb.DNS, nb.LoadBalancer]
        ),
    )
    def meddle(self, data, row_class):
        """Delete a derived row behind the compiler's back."""
        rows = self.world.all(row_class)
        if rows:
            transaction = self.world.nb.transaction()
            transaction.delete(data.draw(st.sampled_from(rows)))
            transaction.commit()

    @invariant()
    def incremental_is_from_scratch(self):
        self.world.settle()
        fresh = World.__new__(World)
        fresh.cloud, fresh.nb = self.world.cloud, Database(nb.schema(), nb.ROWS)
        fresh.engine = compiler(fresh.cloud.store, northbound=fresh.nb.store, southbound=self.world.sb.store)
        fresh.settle()
        fresh.engine.close()
        assert contents(self.world.nb) == contents(fresh.nb)


TestEditing = Editing.TestCase
TestEditing.settings = settings(max_examples=25, stateful_step_count=25, suppress_health_check=list(HealthCheck))
