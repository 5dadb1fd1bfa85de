"""Load balancers in our Southbound against Debian's: what their coming adds, flow by flow and row by row."""

import pytest

from support.northd.logical_flows import flows, groups, lines, names, normal, references, run

WORLD = """
ls-add sw0
ls-add sw1
ls-add plain
ls-add public
lr-add r
lr-add g
lr-add in
set Logical_Router g options:chassis=gw
lrp-add r r-public 00:00:00:00:01:01 172.16.0.1/24 fd00::1/64
lrp-add r r-sw0 00:00:00:00:01:02 10.0.0.1/24 fd10::1/64
lrp-set-gateway-chassis r-public gw 10
lrp-add g g-public 00:00:00:00:02:01 172.16.0.2/24 fd00::2/64
lrp-add g g-sw1 00:00:00:00:02:02 10.1.0.1/24 fd11::1/64
lrp-add in in-plain 00:00:00:00:03:02 10.2.0.1/24 fd12::1/64
lsp-add public to-r
set Logical_Switch_Port to-r type=router options:router-port=r-public options:nat-addresses=router addresses=router
lsp-add public to-g
set Logical_Switch_Port to-g type=router options:router-port=g-public options:nat-addresses=router addresses=router
lsp-add public physical
set Logical_Switch_Port physical type=localnet options:network_name=phys addresses=unknown
lsp-add sw0 from-r
set Logical_Switch_Port from-r type=router options:router-port=r-sw0 addresses=router
lsp-add sw1 from-g
set Logical_Switch_Port from-g type=router options:router-port=g-sw1 addresses=router
lsp-add plain from-in
set Logical_Switch_Port from-in type=router options:router-port=in-plain addresses=router
lsp-add sw0 vm1
lsp-set-addresses vm1 "00:00:00:00:00:11 10.0.0.11 fd10::11"
lsp-add sw0 vm2
lsp-set-addresses vm2 "00:00:00:00:00:12 10.0.0.12 fd10::12"
lsp-add sw1 vm3
lsp-set-addresses vm3 "00:00:00:00:00:13 10.1.0.13 fd11::13"
lr-nat-add r snat 172.16.0.1 10.0.0.0/24
lr-nat-add r dnat_and_snat 172.16.0.20 10.0.0.12
acl-add sw1 from-lport 1000 ip4 drop
meter-add rejections drop 10 pktps 5
meter-add events drop 10 pktps 5
"""
BALANCERS = """
lb-add web 30.0.0.1:80 10.0.0.11:8080,10.0.0.12:8080 tcp
lb-add web 172.16.0.80:80 10.0.0.11:8080,10.0.0.12:8080 tcp
lb-add dns 172.16.0.80:53 10.0.0.11:53,10.0.0.12:53 udp
lb-add any 30.0.0.4 10.0.0.11,10.0.0.12
lb-add any6 fd30::4 fd10::11,fd10::12
lb-add six [fd00::80]:80 [fd10::11]:8080,[fd10::12]:8080 sctp
lb-add translated 172.16.0.20:80 10.0.0.11:80 tcp
lb-add gateways 172.16.0.1 10.0.0.11
lb-add own 10.1.0.1:80 10.1.0.13:80 tcp
lb-add none 30.0.0.6:80 "" tcp
--reject lb-add rejecting 30.0.0.7:80 "" tcp
--event lb-add telling 30.0.0.8:80 "" tcp
--event lb-add telling6 [fd30::8]:80 "" udp
set Load_Balancer six selection_fields=ip_src,tp_src
set Load_Balancer any selection_fields=ip_src,ip_dst,tp_src,tp_dst,eth_src,eth_dst
set Load_Balancer web options:hairpin_snat_ip='"30.0.0.99 fd30::99"'
"""
NAMES = (
    "web",
    "dns",
    "any",
    "any6",
    "six",
    "translated",
    "gateways",
    "own",
    "none",
    "rejecting",
    "telling",
    "telling6",
)
GROUPED = """
--id=@web get Load_Balancer web
--id=@rejecting get Load_Balancer rejecting
--id=@six get Load_Balancer six
--id=@any get Load_Balancer any
--id=@first create Load_Balancer_Group name=first load_balancer=@web,@rejecting
--id=@second create Load_Balancer_Group name=second load_balancer=@web,@six,@any
set Logical_Switch sw0 load_balancer_group=@first
set Logical_Switch sw1 load_balancer_group=@first,@second
set Logical_Switch public load_balancer_group=@second
set Logical_Router g load_balancer_group=@second
set Logical_Router r load_balancer_group=@first
ls-lb-add plain web
ls-lb-add plain six
"""
LENT = """
set NB_Global . options:install_ls_lb_from_router=true
--id=@web get Load_Balancer web
--id=@none get Load_Balancer none
--id=@lent create Load_Balancer_Group name=lent load_balancer=@web,@none
set Logical_Router g load_balancer_group=@lent
lr-lb-add r any
lr-lb-add r six
lr-lb-add in web
"""
METERS = """
--id=@copp create Copp name=copp meters:reject=rejections meters:event-elb=events
set Logical_Switch sw0 copp=@copp
set Logical_Router r copp=@copp
"""
HEALTH = """
--id=@copp create Copp name=copp meters:svc-monitor=rejections -- set Logical_Switch sw0 copp=@copp
--id=@http create Load_Balancer_Health_Check vip='"172.16.0.80:80"' options:interval=1 options:failure_count=2
--id=@dns create Load_Balancer_Health_Check vip='"172.16.0.80:53"'
add Load_Balancer web health_check @http
add Load_Balancer dns health_check @dns
set Load_Balancer web 'ip_port_mappings:10.0.0.11="vm1:10.0.0.200"' 'ip_port_mappings:10.0.0.12="vm2:10.0.0.201"'
set Load_Balancer dns 'ip_port_mappings:10.0.0.11="vm1:10.0.0.200"'
lb-add web6 [fd30::6]:80 [fd10::11]:80,[fd10::12]:80 tcp
ls-lb-add sw0 web
ls-lb-add sw0 dns
ls-lb-add sw0 web6
lr-lb-add r web
"""
TEMPLATES = """
create Chassis_Template_Var chassis=gw variables:vip=30.0.0.9 variables:port=80
--template lb-add lb1 ^vip:^port ^backend:81,10.0.0.11:82 tcp
--template lb-add lb2 ^vip:80 ^some,^others udp
--template lb-add lb3 ^six:80 ^six_backend:80 tcp ipv6
--template --reject lb-add lb4 ^none:80 "" tcp
ls-lb-add sw0 lb1
ls-lb-add sw0 lb2
ls-lb-add sw0 lb3
ls-lb-add sw0 lb4
lr-lb-add g lb1
lr-lb-add g lb3
lr-lb-add r lb2
"""
CASES = {
    "switch": [f"ls-lb-add sw0 {name}" for name in NAMES],
    "switch with an ACL": [f"ls-lb-add sw1 {name}" for name in NAMES[:3]],
    "switch with a physical network": ["ls-lb-add public web"],
    "gateway router": [f"lr-lb-add g {name}" for name in NAMES],
    "forced source": [
        *[f"lr-lb-add g {name}" for name in NAMES], "set Load_Balancer any options:skip_snat=true",
        'set Logical_Router g options:lb_force_snat_ip="10.9.9.9\\ fd99::9"',
    ],
    "forced own source": [
        *[f"lr-lb-add g {name}" for name in NAMES], "set Logical_Router g options:lb_force_snat_ip=router_ip",
        "set Load_Balancer rejecting options:skip_snat=true",
    ],
    "distributed router": [f"lr-lb-add r {name}" for name in NAMES],
    "router without a gateway": [f"lr-lb-add in {name}" for name in NAMES],
    "groups": GROUPED.strip().splitlines(),
    "meters": [*METERS.strip().splitlines(), *[f"{kind}-lb-add {where} {name}" for kind, where in
               (("ls", "sw0"), ("ls", "sw1"), ("lr", "r"), ("lr", "g")) for name in ("rejecting", "telling")]],
    "neighbours": [
        "set Load_Balancer web options:add_route=true", "set Load_Balancer any options:neighbor_responder=all",
        "set Load_Balancer dns options:neighbor_responder=none",
        *[f"lr-lb-add r {name}" for name in ("web", "any", "dns")],
    ],
    "affinity": [
        *[f"set Load_Balancer {name} options:affinity_timeout=60" for name in ("web", "six", "any")],
        *[f"ls-lb-add sw0 {name}" for name in ("web", "six", "any")],
        *[f"lr-lb-add g {name}" for name in ("web", "six", "any")],
    ],
    "templates": TEMPLATES.strip().splitlines(),
    "lent by routers": LENT.strip().splitlines(),
    "health checks": HEALTH.strip().splitlines(),
    "every packet told of": ["set NB_Global . options:controller_event=true", "ls-lb-add sw0 none"],
}  # fmt: skip
LATER = {
    "ls_in_acl 34000", "ls_out_acl 34000",  # what is for the chassis' own probes
    "ls_in_acl 1", "ls_out_acl 1",  # one of these has priority 2 in ours, where it cannot meet the other
}  # fmt: skip

AFFINE = {
    "ls_in_lb 150", "lr_in_dnat 150",  # ours say which virtual address they are for, as the original's since 23.06
    "ls_in_lb_aff_learn 100", "lr_in_lb_aff_learn 100",  # ours go on: the original drops what it learns from
}  # fmt: skip


def balancers(client):
    """Return what there is of load balancers, with the names of their datapaths."""
    named, grouped, found = names(client), groups(client), []
    columns = ("name", "vips", "protocol", "options", "datapaths", "datapath_group")
    for row in client.select("Load_Balancer", *columns):
        datapaths = references(row["datapaths"])
        datapaths += [uuid for group in references(row["datapath_group"]) for uuid in grouped[group]]
        texts = [str(row[column]).replace("[^six_backend]", "^six_backend") for column in columns[:4]]
        found.append((*texts, sorted(named[uuid] for uuid in datapaths)))
    return sorted(found)


def sets(client):
    found = client.select("Address_Set", "name", "addresses")
    return sorted((normal(row["name"]), str(row["addresses"])) for row in found if row["name"] != "svc_monitor_mac")


def is_ours_alone(flow, case):
    """Return whether a flow that only ours has is meant."""
    place, datapath, match, actions, _ = flow
    if place == "lr_in_dnat 70":
        return "! ct.rpl" in match  # no marks of replies, as in the original since 25.03
    if place == "lr_in_ip_input 100":
        return ".dst == ^" in match  # the address may be the router's own, as in the original since 25.09
    if place.startswith("lr_in_dnat 1") and actions == "drop ;":
        return case.startswith("forced")  # in the original behind a mark, which is no action before 25.03
    if case == "affinity" and place in AFFINE:
        return True
    if case == "templates" and "[^six_backend]:80" in actions:
        return True  # an IPv6 address and a port need brackets, which the original leaves out
    if case == "neighbours" and place in ("lr_in_arp_resolve 100", "lr_in_ip_routing 386"):
        return datapath == "g"  # one flow for each address; routes of IPv6, too
    if case == "forced own source" and place == "lr_in_arp_resolve 2":
        return actions == "drop ;"  # the original lets packets to these addresses go on
    if case == "lent by routers" and place.startswith("ls_"):
        return not place.startswith(("ls_in_lb 12", "ls_in_pre_stateful 12"))  # the original does not track there
    return place in ("ls_in_acl 2", "ls_out_acl 2")


def is_theirs_alone(flow, case):
    """Return whether a flow that only theirs has is known."""
    place, _, match, actions, _ = flow
    if place == "lr_in_dnat 70" or actions.endswith("_for_lb = 1 ; drop ;"):
        return place.startswith("lr_in_dnat")
    if case == "affinity" and place in AFFINE:
        return True
    if case == "templates" and "^six_backend:80" in actions:
        return True
    if place == "ls_in_l2_lkup 80" and match.endswith(("172.16.0.1", "172.16.0.20")):
        return '"to-g"' in actions  # these are the other router's own, or translated by it
    if case == "groups" and place == "ls_in_l2_lkup 80":
        return "172.16.0.80" in match  # two routers have the address: the original leads requests to either
    if case == "neighbours" and place == "lr_in_arp_resolve 100":
        return "172.16.0.80" in match  # one flow for several addresses
    return place in LATER and ("svc_monitor_mac" in match or actions == "reg0[1] = 1 ; next ;")


@pytest.fixture
def world(oracle):
    run(oracle, lines(WORLD))
    return oracle


@pytest.mark.parametrize("case", CASES)
def test_flows_of_each_load_balancer_are_the_originals(world, case):
    before = [flows(client) for client in (world.theirs, world.ours)]
    run(world, lines(BALANCERS))
    assert [flows(client) for client in (world.theirs, world.ours)] == before  # nobody uses them yet
    run(world, CASES[case])
    theirs, ours = (flows(client) for client in (world.theirs, world.ours))
    assert {flow for flow in theirs - before[0] - ours if not is_theirs_alone(flow, case)} == set()
    assert {flow for flow in ours - before[1] - theirs if not is_ours_alone(flow, case)} == set()
    assert len(theirs - before[0]) > 5
    assert balancers(world.ours) == balancers(world.theirs)
    assert sets(world.ours) == sets(world.theirs)
    assert world.compile()[1] == 0


def monitors(client):
    """Return what chassis are to probe."""
    columns = ("logical_port", "ip", "port", "protocol", "src_mac", "src_ip", "options", "status")
    return sorted(tuple(map(str, row.values())) for row in client.select("Service_Monitor", *columns))


def chosen(client):
    """Return the flows that choose a backend, refuse or drop."""
    return {flow for flow in flows(client) if flow[0] in ("ls_in_lb 120", "lr_in_dnat 120", "lr_out_undnat 120")}


def test_backends_that_are_offline_get_no_connections(world):
    run(world, [*lines(BALANCERS), *CASES["health checks"]])
    assert monitors(world.ours) == monitors(world.theirs)
    assert len(monitors(world.ours)) == 3
    seen = []
    for statuses in ({"10.0.0.11": "offline"}, {"10.0.0.12": "error"}, {"10.0.0.11": "online", "10.0.0.12": "offline"}):
        for client in (world.theirs, world.ours):
            for ip, status in statuses.items():
                where = [["ip", "==", ip], ["protocol", "==", "tcp"]]
                client.transact({"op": "update", "table": "Service_Monitor", "where": where, "row": {"status": status}})
        run(world, ["set NB_Global . external_ids:step=" + str(len(seen))])
        world.compile()  # what it wrote of a status itself
        seen.append(chosen(world.ours))
        assert seen[-1] == chosen(world.theirs)
        assert monitors(world.ours) == monitors(world.theirs)  # no port is up, so that online soon is offline
    assert seen[0] != seen[1] == seen[2]
    run(world, ["set Load_Balancer web options:reject=true"])
    assert chosen(world.ours) == chosen(world.theirs)
    assert "reject" in str(chosen(world.ours))
    run(world, ["clear Load_Balancer web health_check", "lsp-set-enabled vm1 disabled"])
    assert chosen(world.ours) == chosen(world.theirs)
    assert monitors(world.ours) == monitors(world.theirs) == []
