"""What releases of OVN after 23.03 add to routers: ovn-trace reads our flows as they are meant, and theirs alike."""

import re

import pytest

from support.waiting import until

ROUTER = """
ls-add in
lsp-add in vm
lsp-set-addresses vm "00:00:00:00:00:01 10.0.0.1"
ls-add out
lsp-add out a
lsp-set-addresses a "00:00:00:00:00:0a 172.16.0.10"
lsp-add out b
lsp-set-addresses b "00:00:00:00:00:0b 172.16.0.11"
lr-add r
set Logical_Router r options:chassis=hv1
lrp-add r r-in 00:00:00:00:ff:01 10.0.0.254/24
lrp-add r r-out 00:00:00:00:ff:02 172.16.0.1/24
lsp-add in in-r
lsp-set-type in-r router
lsp-set-addresses in-r router
lsp-set-options in-r router-port=r-in
lsp-add out out-r
lsp-set-type out-r router
lsp-set-addresses out-r router
lsp-set-options out-r router-port=r-out
lr-route-add r 0.0.0.0/0 172.16.0.10
"""
CHAINS = """
newer create Logical_Router_Policy priority=9 match=ip4 action=jump jump_chain=c \\
  in Logical_Router name=r policies
newer create Logical_Router_Policy priority=8 match=ip4 action=drop in Logical_Router name=r policies
newer create Logical_Router_Policy priority=10 match='tcp.dst == 1' action=drop chain=c \\
  in Logical_Router name=r policies
newer create Logical_Router_Policy priority=7 match='tcp.dst == 2' action=reroute nexthops=172.16.0.11 chain=c \
  in Logical_Router name=r policies
newer create Logical_Router_Policy priority=6 match=tcp action=jump jump_chain=d chain=c \\
  in Logical_Router name=r policies
newer create Logical_Router_Policy priority=5 match='tcp.dst == 3' action=drop chain=d \\
  in Logical_Router name=r policies
newer create Logical_Router_Policy priority=4 match='tcp.dst == 4' action=reroute nexthops=172.16.0.11 chain=d \
  in Logical_Router name=r policies
newer create Logical_Router_Policy priority=3 match='tcp.dst == 5' action=allow chain=d \\
  in Logical_Router name=r policies
"""
SOURCES = """
lr-nat-add r snat 172.16.0.50 10.0.0.0/24
newer create NAT type=snat external_ip=172.16.0.51 logical_ip=10.0.0.0/24 match='tcp.dst == 1' \\
  in Logical_Router name=r nat
newer create NAT type=snat external_ip=172.16.0.52 logical_ip=10.0.0.1 match='tcp.dst == {1, 2}' priority=3 \
  in Logical_Router name=r nat
newer create NAT type=snat external_ip=172.16.0.53 logical_ip=10.0.0.0/24 match='tcp.dst == 2' priority=9 \
  in Logical_Router name=r nat
"""
OUT = (
    'inport == "vm" && eth.src == 00:00:00:00:00:01 && eth.dst == 00:00:00:00:ff:01 && ip4.src == 10.0.0.1 && '
    "ip4.dst == 9.9.9.9 && ip.ttl == 64 && tcp.src == 5000 && tcp.dst == "
)
IN = (
    'inport == "a" && eth.src == 00:00:00:00:00:0a && eth.dst == 00:00:00:00:ff:02 && ip4.src == 172.16.0.10 && '
    "ip4.dst == 172.16.0.60 && ip.ttl == 64 && tcp.src == 5000 && tcp.dst == "
)


@pytest.fixture
def router(newer):
    newer.edit(ROUTER)
    return newer


def ended(router, datapath, microflow, *options):
    """Return what everyone says, if they agree."""
    router.settle()
    router.sync()
    told = [router.trace(whose, datapath, microflow, *options) for whose in router.everyone]
    outputs = [sorted(line.strip() for line in lines if "output(" in line) for lines in told]
    assert outputs == outputs[:1] * len(outputs), told
    return "".join(told[0])


@pytest.mark.parametrize(("port", "out"), [(1, ""), (2, "b"), (3, ""), (4, "b"), (5, "a"), (6, "a")])
def test_chains(router, port, out):
    router.edit(CHAINS)
    told = ended(router, "in", f"{OUT}{port}")
    assert f'output("{out}");' in told if out else "output" not in told


@pytest.mark.parametrize(("port", "source"), [(1, "172.16.0.52"), (2, "172.16.0.53"), (3, "172.16.0.50")])
def test_the_source_is_translated_by_the_first_rule_whose_match_fits(router, port, source):
    router.edit(SOURCES)
    router.settle()
    router.sync()
    for whose in router.everyone:
        told = "".join(router.trace(whose, "in", f"{OUT}{port}", "--ct=new", "--ct=new", "--ct=new"))
        assert f"ct_snat(ip4.src={source})" in told, (whose, told)


@pytest.mark.parametrize(("port", "arrives"), [(1, True), (2, False)])
def test_a_destination_is_translated_for_what_fits(router, port, arrives):
    router.edit(
        "newer create NAT type=dnat external_ip=172.16.0.60 logical_ip=10.0.0.1 match='tcp.dst == 1' "
        "in Logical_Router name=r nat"
    )
    told = ended(router, "out", f"{IN}{port}", "--ct=new", "--ct=new")
    assert ('output("vm");' in told) is arrives


def test_next_hops_of_symmetric_replies_are_monitored(router):
    router.edit("set NB_Global . options:ecmp_nexthop_monitor_enable=true")
    for hop in ("172.16.0.10", "172.16.0.11"):
        router.edit(f"--ecmp-symmetric-reply lr-route-add r 10.9.0.0/16 {hop}")
    router.settle()
    router.sync()
    for client in [router.ours, *([router.theirs] if "theirs" in router.everyone else [])]:
        ports = {row["_uuid"][1]: row["logical_port"] for row in client.select("Port_Binding", "_uuid", "logical_port")}
        found = client.select("ECMP_Nexthop", "nexthop", "port", "mac")
        assert sorted((row["nexthop"], ports[row["port"][1]], row["mac"]) for row in found) == [
            ("172.16.0.10", "r-out", ""),
            ("172.16.0.11", "r-out", ""),
        ]


@pytest.mark.parametrize(("transport", "ends"), [("tcp.dst == 179", ["b"]), ("tcp.src == 179", ["b"]), ("udp", [])])
def test_routing_protocols_go_to_a_daemon(router, transport, ends):
    router.edit("lsp-set-addresses b unknown")
    router.edit("lrp-set-options r-out routing-protocol-redirect=b routing-protocols=BGP")
    packet = IN.replace("172.16.0.60", "172.16.0.1").partition(" && tcp.src")[0]
    told = ended(router, "out", f"{packet} && {transport}")
    assert re.findall(r'output\("(\w+)"\)', told) == ends or not ends


def test_northbound_says_where_a_gateway_is(router):
    router.edit("lr-add g\nlrp-add g g-out 00:00:00:00:ff:03 172.16.0.3/24\nlrp-set-gateway-chassis g-out hv1 1")
    router.settle()
    router.sync()
    databases = [router.ours, *([router.theirs] if "theirs" in router.everyone else [])]
    for client in databases:
        encap = {"type": "geneve", "ip": "192.0.2.1", "chassis_name": "hv1"}
        client.transact(
            {"op": "insert", "table": "Encap", "row": encap, "uuid-name": "encap"},
            {"op": "insert", "table": "Chassis", "row": {"name": "hv1", "encaps": ["named-uuid", "encap"]}},
        )
    chassis = {client: client.select("Chassis", "_uuid")[0]["_uuid"] for client in databases}
    for bound, said in ((True, [["hosting-chassis", "hv1"]]), (False, [])):
        for client in reversed(databases):
            where = [["logical_port", "==", "cr-g-out"]]
            row = {"chassis": chassis[client] if bound else ["set", []]}
            client.transact({"op": "update", "table": "Port_Binding", "where": where, "row": row})
            if client is router.ours:
                router.settle()
            until(lambda said=said: status(router, "g-out") == said)


def status(made, port):
    """Return the status of a router port."""
    (row,) = [row for row in made.nb.select("Logical_Router_Port", "name", "status") if row["name"] == port]
    return row["status"][1]


def test_acls_at_a_port_to_a_gateway_port_are_stateful_where_that_is_asked_for(router):
    """Elsewhere the option has no effect, in either northd."""
    router.edit("lr-add g\nlrp-add g g-out 00:00:00:00:ff:03 172.16.0.3/24\nlsp-add out to-g")
    router.edit("set Logical_Switch_Port to-g type=router addresses=router options:router-port=g-out")
    router.edit("acl-add out to-lport 1001 tcp allow-related")
    databases = [router.ours, *([router.theirs] if "theirs" in router.everyone else [])]
    option = "set Logical_Switch_Port to-g options:enable_router_port_acl=true"
    for line, skipped in (
        (option, 2),
        ("lrp-set-gateway-chassis g-out hv1 1", 0),
        ("lrp-del-gateway-chassis g-out hv1", 2),
    ):
        router.edit(line)
        router.settle()
        router.sync()
        found = [skips(client, "to-g") for client in databases]
        assert found == found[:1] * len(found)
        assert len(found[0]) == skipped, line


def skips(client, port):
    """Return the flows that keep packets at a port from being tracked for ACLs."""
    rows = client.select("Logical_Flow", "external_ids", "priority", "match", "actions")
    flows = {(dict(row.pop("external_ids")[1])["stage-name"], *row.values()) for row in rows}
    return {flow for flow in flows if "_pre_acl" in flow[0] and f'"{port}"' in str(flow)}
