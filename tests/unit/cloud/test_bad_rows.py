"""A row of Cloud that makes no sense costs what it is about, and nothing of anybody else's."""

from __future__ import annotations

import asyncio

import pytest

from ovenbird import cloud as compiler
from ovenbird.model import cloud
from ovenbird.ovsdb.errors import OvsdbError
from support.api.neutron import Neutron

GARBAGE = ["", " ", "x", "a b c", "9" * 5000, "-1", "\u0665", "fd00::5%a b", "10.0.0.0/33", '"', "\\", "{", "\n", "a-b"]
NUMBERS = [-(2**63), -1, 0, 2**63 - 1]


async def tenant(neutron, number):
    """Make one of everything."""
    network = await neutron.network(name=f"n{number}", dns_domain="example.org.")
    four = await neutron.subnet(
        network, cidr=f"10.{number}.0.0/24", dns_nameservers=["10.9.9.9"],
        host_routes=[{"destination": "10.8.0.0/16", "nexthop": f"10.{number}.0.7"}],
    )  # fmt: skip
    await neutron.subnet(network, ip_version=6, cidr=f"fd00:{number}::/64", ipv6_address_mode="dhcpv6-stateful")
    wire = {"provider:network_type": "vlan", "provider:physical_network": "p", "provider:segmentation_id": number}
    outside = await neutron.network(name=f"o{number}", **{"router:external": True} | wire)
    await neutron.subnet(outside, cidr=f"203.0.{number}.0/24")
    router = await neutron.create("router", external_gateway_info={"network_id": outside["id"]})
    await neutron.act(router, "add_router_interface", subnet_id=four["id"])
    routes = [{"destination": "10.77.0.0/16", "nexthop": f"10.{number}.0.9"}]
    await neutron.ask("PUT", f"routers/{router['id']}", {"router": {"routes": routes}})
    addresses = (await neutron.ask("POST", "address-groups", {"address_group": {"addresses": ["10.5.0.0/16"]}}))[1]
    group = await neutron.create("security_group", name=f"g{number}")
    for values in (
        {"remote_ip_prefix": "10.0.0.0/8", "protocol": "tcp", "port_range_min": 1, "port_range_max": 9},
        {"remote_group_id": group["id"]},
        {"remote_address_group_id": addresses["address_group"]["id"]},
    ):
        given = {"security_group_id": group["id"], "direction": "ingress"}
        await neutron.create("security_group_rule", **given | values)
    port = await neutron.port(
        network, dns_name="web", security_groups=[group["id"]], allowed_address_pairs=[{"ip_address": "10.1.1.1"}],
        extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"}],
    )  # fmt: skip
    await neutron.create("floatingip", floating_network_id=outside["id"], port_id=port["id"])


class World:
    """Two tenants, compiled: the first is to be left alone, whatever happens to the second's rows."""

    def __init__(self):
        self.neutron = neutron = Neutron()
        asyncio.run(tenant(neutron, 1))
        self.engine = compiler.compiler(
            neutron.cloud.store, northbound=neutron.northbound.store, southbound=neutron.southbound.store
        )
        self.settle()
        mine = {row.uuid for row in self.northbound()}
        theirs = {row.uuid for table in neutron.cloud.store.tables.values() for row in table.rows.values()}
        asyncio.run(tenant(neutron, 2))
        self.settle()
        self.good = {row.uuid for row in self.northbound() if row.uuid in mine}
        self.before = self.image()
        tables = neutron.cloud.store.tables.values()
        self.rows = [row for table in tables for row in table.rows.values() if row.uuid not in theirs]

    def northbound(self):
        tables = self.neutron.northbound.store.tables.values()
        return [row for table in tables for row in table.rows.values()]

    def image(self):
        """Return the first tenant's rows of Northbound; the group that drops has members of everybody's."""
        return {
            row.uuid: tuple(row.values)
            for row in self.northbound()
            if row.uuid in self.good and "neutron_pg_drop" not in row.values
        }

    def settle(self):
        for _ in range(6):
            self.engine.run()
            transaction = self.neutron.northbound.transaction()
            for output in self.engine.outputs.values():
                output.plan(transaction)
            if not transaction.commit().changes:
                return
        raise AssertionError("the compiler does not come to rest")


@pytest.fixture(scope="module")
def world():
    return World()


def garbage_for(column):
    """Return values of a column's own type that no API would write."""
    default = column.default
    if isinstance(default, bool):
        return []
    if isinstance(default, frozenset):
        return [frozenset([text]) for text in GARBAGE] if "uuid" not in str(column.type).lower() else []
    if isinstance(default, dict):
        return [dict.fromkeys(GARBAGE, text) for text in GARBAGE]
    if isinstance(default, int):
        return NUMBERS
    if isinstance(default, str) or default is None:
        return [] if hasattr(column, "target") else GARBAGE
    return []


def storable(column, value):
    """Return whether the schemas of Cloud and Northbound have room for a value."""
    if column is cloud.NetworkSegment.segmentation_id and value > 4095:
        return False
    try:
        column.type.check_python(value)
    except OvsdbError:
        return False
    return True


def test_invalid_values_in_a_row_do_not_affect_other_rows(world):
    tried = 0
    for row in world.rows:
        for column in type(row).COLUMNS:
            kept = row.values[column.index]
            values = garbage_for(column)
            if isinstance(kept, int) and not isinstance(kept, bool):
                values = NUMBERS
            for value in values:
                if not storable(column, value):
                    continue
                row.home.modify(row, {column.index: value})
                world.settle()
                assert world.image() == world.before, (row, column, value, world.engine.failures)
                tried += 1
            row.home.modify(row, {column.index: kept})
            world.settle()
    assert world.image() == world.before
    assert world.engine.failures == {}
    assert tried > 500
