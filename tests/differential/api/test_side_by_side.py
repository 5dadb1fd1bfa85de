"""A long walk through our API and Neutron's, side by side: whatever differs is in docs/cloud.md, or wrong.

Skipped where Neutron is not installed; OVENBIRD_NEUTRON_PYTHON names the Python of the environment that has it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.beside_neutron.neutron_walk import CHASSIS, networks, subnets
from support.beside_neutron.neutron_walk_bindings import port_attributes, port_bindings
from support.beside_neutron.neutron_walk_flavors import flavors
from support.beside_neutron.neutron_walk_forwardings import port_forwardings
from support.beside_neutron.neutron_walk_gateways import gateways
from support.beside_neutron.neutron_walk_groups import security_groups
from support.beside_neutron.neutron_walk_lists import lists, members
from support.beside_neutron.neutron_walk_logs import logs
from support.beside_neutron.neutron_walk_pools import subnet_pools
from support.beside_neutron.neutron_walk_ports import ports
from support.beside_neutron.neutron_walk_qos import qos
from support.beside_neutron.neutron_walk_random import astray
from support.beside_neutron.neutron_walk_routers import floating_ips, routers
from support.beside_neutron.neutron_walk_sharing import sharing
from support.beside_neutron.neutron_walk_templates import templates
from support.beside_neutron.neutron_walk_topology import topologies
from support.beside_neutron.neutron_walk_trunks import trunks
from support.beside_neutron.side_by_side import Neutron, Pair

DELIBERATE = [
    r"Neutron's 500",  # it fails; we answer
    r"^POST .*\.availability_zones has 1 items",  # it shows them later
    r'availability_zone_hints": \["az1", "az3"\].* 201 ',  # networks are in zones without gateways too
    r'"unknown".* 201 .*physical_network .unknown. unknown',  # physical networks are those of chassis, not of settings
    r'\{"provider:network_type": "vlan"\}.* 400 .*physical_network required',  # and so none can be picked
    r"^PUT trunks/.*subports.*\.status is 'ACTIVE'; Neutron's 'DOWN'",  # as its next answer has it
    r'^PUT ports/.*"data_plane_status": ("ACTIVE"|"DOWN"|null)\}',  # Neutron has it without OVN alone
    r'^POST trunks \{"trunks":',  # several at once
    r"^POST networks .*\.network\.is_default is not shown",  # of external networks alone, as in Neutron's later answers
    r"^(PUT|DELETE) networks .* 405 ",
    r"^(POST|PUT) floatingips.*\.status is",  # at once
    r"address-groups.*\.(shared|tags) is shown",
    r"belongs_to_default_sg is (True|False); Neutron's None",
    r"SecurityGroupCannotUpdateDefault'; Neutron's 'SecurityGroupDefaultAlreadyExists'",
    r"SecurityGroupCannotRemoveDefault'; Neutron's 'SecurityGroupInUse'",
    r'"opt_value": "2".* 400 InvalidInput.*NeutronDbObjectDuplicateEntry',
    r"PortSecurityPortHasSecurityGroup'; Neutron's 'AddressPairAndPortSecurityRequired'",
    r"\.ip_allocation is",  # follows from the addresses that are there
    r"^\w+ ports/.*bound_drivers is",  # it shows them later
    r"99\.0\.0\.1.*InvalidIpForNetwork'; Neutron's 'BadRequest'",  # it has given up the old gateway by then
    r'"t50".*InvalidInput.; Neutron.s .BadRequest',
    r"MacAddressInUse'; Neutron's 'IpAddressAlreadyAllocated'",
    r"^GET .* 200 .*is invalid attribute for (filtering|sort_keys)",  # more of them here
    r"ports/.*\.port.security_groups has 0 items",  # a router's port is in no group
    r"RoutesExhausted",
    r"add_router_interface .*\.subnet_id is",  # which of several subnets comes first
    r"409 (SecurityGroupConflict|PortInUse).*Neutron's 400 InvalidI",  # which of two mistakes comes first
    r"_extraroutes .*\.router\.routes has",  # over SQLite it does not see those that are there
    r"^GET security-group(s|-rules)\?project_id=nobody",  # asking makes a default group there
    r"^GET availability_zones",  # networks have zones too, and zones can be asked for by kind
    r"^GET agents .*\.(availability_zone|id) is",
    r"^POST quotas .* 405 .* 501 ",
    r"^POST subnets.* 404 NetworkNotFound.*Neutron's 403",  # another's network is not even there
    r'^PUT networks.*"other".* 404 ',
    r"^POST (security-group-rules|subnetpools).* 404 (SecurityGroup|AddressScope)NotFound.*Neutron's 403",  # likewise
    r'^PUT rbac-policies.*"x".* 404 ',
    r'^PUT address-scopes.*"shared": false.* 403 .*Neutron\'s 404 HTTPNotFound',
    r"^POST default-security-group-rules.* 404 .*Neutron's 201",  # of what is not there, it makes broken groups
    r'^POST default-security-group-rules.*"used_in_default_sg": false, "used_in_non_default_sg": false.* 201 .* 409 ',
    r"^DELETE auto-allocated-topology/.* (204|403) .* 409 AutoAllocationFailure",  # it makes a topology to delete it
    r"^POST auto-allocated-topology .* 405 ",
    r"^GET networks\?is_default=",  # the filter has an effect here
    r"\.routers\[\]\.description is ''; Neutron's None",
    r"^(POST|PUT) networks.*is_default is not shown",  # of networks that are not external
    r"^GET log/logs .*\.logs has|^DELETE log/logs/.* 404 .*Neutron's 204",  # a log goes with either thing it is about
    r"Gateway is not valid on subnet.*IpamValueInvalid",
    r"\.subnet.allocation_pools has 0 items \[\]; Neutron's 1 ",  # the one address is the gateway's
    r"MaxPrefixSubnetAllocationError'; Neutron's 'AddrFormatError'",
    r"flavors.*\.description is ''; Neutron's None",
    r"^GET flavors/.*/service_profiles/.* is shown",
    r"flavor_id.*\.router\.ha is True",  # it is served like any other
    r"\.external_gateway_info is .*Neutron's None",  # the next gateway is the first then
    r"^(POST|PUT) .*port_forwarding\.(in|ex)ternal_port is not shown",  # of a range; likewise
    r"port_forwardings .* 201 .*Required attribute .internal_ip_address",  # the port's first address is meant
    r"port_forwardings .*internal_port.: .x.*InvalidInput'; Neutron's 'HTTPBadRequest'",
    r"port_forwardings .* 409 FloatingIPPortAlreadyAssociated.*Neutron's 400 .*collision",  # which comes first
    r"\.networks?(\[\])?\.is_default is",  # of external networks alone, here
    r"^GET qos/policies\?is_default=True .*\.policies has",  # where it does not filter
    r"^GET qos/policies\?fields=id&fields=rules .* Neutron's 0 ",  # it does not see that one is shared
    r"^POST qos/rule-types .* 405 ",
    r"QosRuleNotFound'; Neutron's 'HTTPNotFound'",
    r"minimum_bandwidth_rules.*\.(NotImplementedError|NeutronError) is ",  # where others have their errors
    r"404 QosPolicyNotFound.*Neutron's 403 PolicyRemove",  # which of two mistakes comes first
    r"^PUT subnetpools/.*(_prefixlen is '|\.(address_scope_id|default_quota) is shown)",  # as when it is shown, here
]
"""Differences that are meant, as the walk shows them."""


WALKS = (
    security_groups, templates, networks, subnets, subnet_pools, sharing, qos, ports, routers, floating_ips, topologies,
    port_forwardings, gateways, flavors, members, lists, logs,
)  # fmt: skip
OF_CALLBACKS = (trunks, port_bindings, port_attributes)
"""Walks through what Neutron's driver writes into Neutron's tables after it has answered."""


@contextmanager
def running(*, in_file=False):
    """Run Neutron."""
    if shutil.which("ovsdb-server") is None or shutil.which("ovn-sbctl") is None:
        pytest.skip("ovsdb-server or ovn-sbctl is not installed")
    with tempfile.TemporaryDirectory(prefix="ob-") as directory:
        made = Neutron(Path(directory), in_file=in_file)
        try:
            made.start(CHASSIS)
        except FileNotFoundError as error:
            pytest.skip(str(error))
        else:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def neutron():
    with running() as made:
        yield made


async def test_neutron_answers_the_same(neutron):
    assert await walked(neutron, *WALKS) == {walk.__name__: [] for walk in WALKS}


async def test_neutron_answers_the_same_about_what_its_driver_writes_by_itself():
    with running(in_file=True) as neutron:
        assert await walked(neutron, *OF_CALLBACKS) == {walk.__name__: [] for walk in OF_CALLBACKS}


async def walked(neutron, *walks):
    """Walk, and return what differs and is not meant, by walk."""
    pair = Pair(neutron.port, CHASSIS, northbound=f"unix:{neutron.directory}/nb.sock")
    meant = re.compile("|".join(DELIBERATE))
    different = {}
    try:
        for walk in walks:
            pair.asked, pair.different = 0, []
            await walk(pair)
            assert pair.asked > 40
            different[walk.__name__] = [one for one in pair.different if not meant.search(one)]
    finally:
        await pair.close()
    return different


@pytest.mark.parametrize("seed", [1, 2])
async def test_neutron_answers_the_same_to_anything(neutron, seed):
    pair = Pair(neutron.port, CHASSIS, f"astray-{seed}")
    meant = re.compile("|".join(DELIBERATE))
    try:
        await astray(pair, seed)
    finally:
        await pair.close()
    assert [one for one in pair.different if not meant.search(one)] == []
