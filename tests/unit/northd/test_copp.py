"""Control plane protection: flows that hand packets to a controller carry the meter that is set for their kind."""

import pytest

from ovenbird.model import nb, sb


@pytest.fixture
def made(networks):
    """A switch with a port, DHCP, DNS and an ACL that rejects, behind a router; a second of both beside."""
    networks.insert(nb.NBGlobal)
    for n in (1, 2):
        router = networks.insert(nb.LogicalRouter, name=f"r{n}")
        networks.insert(
            nb.LogicalRouterPort, (router, "ports"), name=f"rp{n}", mac=f"00:00:00:00:ff:0{n}",
            networks=frozenset([f"10.{n}.0.254/24", f"fd0{n}::fe/64"]), ipv6_ra_configs={"address_mode": "slaac"},
            options={"gateway_mtu": "1400"},
        )  # fmt: skip
        networks.insert(
            nb.LogicalRouterStaticRoute, (router, "static_routes"), ip_prefix="fd99::/64", nexthop=f"fd0{n}::9"
        )
        networks.insert(nb.BFD, logical_port=f"rp{n}", dst_ip=f"10.{n}.0.9")
        dns = networks.insert(nb.DNS, records={"a": "1.1.1.1"})
        switch = networks.switch(f"s{n}", dns_records=frozenset([dns.uuid]))
        networks.port(switch, f"to{n}", "router", type="router", options={"router-port": f"rp{n}"})
        server = {"server_id": f"10.{n}.0.254", "server_mac": "00:00:00:00:ff:01", "lease_time": "60"}
        four = networks.insert(nb.DHCPOptions, cidr=f"10.{n}.0.0/24", options=server)
        six = networks.insert(nb.DHCPOptions, cidr=f"fd0{n}::/64", options={"server_id": "00:00:00:00:ff:01"})
        networks.port(
            switch, f"p{n}", f"00:00:00:00:00:0{n} 10.{n}.0.1 fd0{n}::1", dhcpv4_options=four.uuid,
            dhcpv6_options=six.uuid,
        )  # fmt: skip
        networks.acl(switch, "to-lport", "ip4", "reject")
        networks.acl(switch, "to-lport", "ip6", "drop")
    group = networks.group("pg", *[row for row in networks.nb.store.table(nb.LogicalSwitchPort).rows.values()
                                   if row.name in ("p1", "p2")])  # fmt: skip
    networks.acl(group, "from-lport", "ip4.dst == 1.1.1.1", "reject")
    networks.acl(group, "from-lport", "ip4.dst == 1.1.1.2", "allow-related")
    networks.settle()
    return networks


KINDS = {
    "arp": ("put_arp(",),
    "nd-na": ("put_nd(inport, nd.target", "nd_na_router {", "nd_na {"),
    "nd-ns": ("put_nd(inport, ip6.src",),
    "arp-resolve": ("arp { eth.dst = ff:",),
    "nd-ns-resolve": ("nd_ns {",),
    "nd-ra-opts": ("put_nd_ra_opts(",),
    "dhcpv4-opts": ("put_dhcp_opts(",),
    "dhcpv6-opts": ("put_dhcpv6_opts(",),
    "dns": ("dns_lookup(",),
    "icmp4-error": ("icmp4 {", "icmp4_error {"),
    "icmp6-error": ("icmp6 {", "icmp6_error {"),
    "tcp-reset": ("tcp_reset {", "sctp_abort {"),
    "bfd": ("handle_bfd_msg(",),
    "reject": ("reject {",),
}


def limit(made):
    txn = made.nb.transaction()
    band = txn.insert(nb.MeterBand, {"action": "drop", "rate": 5})
    txn.insert(nb.Meter, {"name": "limit", "unit": "pktps", "bands": frozenset([band])})
    txn.commit()


def said(made):
    """Return what flows say, by datapath, whatever their meters."""
    return {
        (name, row.pipeline, row.table_id, row.priority, row.match, row.actions)
        for row in made.rows(sb.LogicalFlow)
        for name in made.datapaths(row)
    }


def metered(made):
    """Return (datapath, actions) of the flows by their meter."""
    found = {}
    for row in made.rows(sb.LogicalFlow):
        for name in made.datapaths(row):
            found.setdefault(row.controller_meter, set()).add((name, row.actions))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_meter_in_the_protected_networks_alone(made, kind):
    plain = said(made)
    limit(made)
    protection = made.insert(nb.Copp, name="careful", meters={kind: "limit", "igmp": "nowhere"})
    switch, router = (
        next(row for row in made.nb.store.table(table).rows.values() if row.name == name)
        for table, name in ((nb.LogicalSwitch, "s1"), (nb.LogicalRouter, "r1"))
    )
    for row in (switch, router):
        made.update(row, copp=protection.uuid)
    made.settle()
    found = metered(made)
    assert found.keys() == {None, "limit"}
    starts = KINDS[kind]
    assert {name for name, _ in found["limit"]} <= {"s1", "r1"}
    assert all(any(start in act for start in starts) for _, act in found["limit"])
    missed = [each for each in found[None] if each[0] in ("s1", "r1") and any(start in each[1] for start in starts)]
    assert not missed
    assert said(made) == plain
    for row in (switch, router):
        made.update(row, copp=None)
    made.settle()
    assert metered(made).keys() == {None}


def test_a_meter_that_is_not_there_limits_nothing_until_it_comes(made):
    protection = made.insert(nb.Copp, name="careful", meters={"arp": "limit"})
    (router, _) = made.nb.store.table(nb.LogicalRouter).rows.values()
    made.update(router, copp=protection.uuid)
    made.settle()
    assert metered(made).keys() == {None}
    limit(made)
    made.settle()
    assert len(metered(made)["limit"]) == 1


def test_a_group_that_spans_protected_switches_and_others_changes_in_both(made):
    limit(made)
    protection = made.insert(nb.Copp, name="careful", meters={"reject": "limit"})
    switch = next(row for row in made.nb.store.table(nb.LogicalSwitch).rows.values() if row.name == "s1")
    made.update(switch, copp=protection.uuid)
    made.settle()
    (group,) = made.nb.store.table(nb.PortGroup).rows.values()
    made.acl(group, "to-lport", "ip4.src == 7.7.7.7", "reject")
    made.settle()
    mine = [row for row in made.rows(sb.LogicalFlow) if "7.7.7.7" in row.match]
    assert {(row.controller_meter, made.datapaths(row)) for row in mine} == {
        ("limit", frozenset(["s1"])), (None, frozenset(["s2"])),
    }  # fmt: skip
    (port,) = [row for row in switch.ports if row.name == "p1"]
    made.mutate(group, "ports", delete=[port])
    made.settle()
    mine = [row for row in made.rows(sb.LogicalFlow) if "7.7.7.7" in row.match]
    assert {(row.controller_meter, made.datapaths(row)) for row in mine} == {(None, frozenset(["s2"]))}
