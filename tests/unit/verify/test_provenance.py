from ovenbird.model import cloud, nb, sb
from ovenbird.northd.features import EXPLANATIONS
from ovenbird.ovsdb.database import Database
from ovenbird.verify.provenance import Provenance

RULE = "neutron:security_group_rule_id"


def cloud_with_rule(traced):
    """A Cloud with one security group rule; return it and the rule."""
    database = Database(cloud.schema(), cloud.ROWS)
    group = traced.insert(cloud.SecurityGroup, database=database, name="web", project_id="p")
    values = {"ethertype": "IPv4", "protocol": "tcp", "port_range_min": 22, "port_range_max": 23, "project_id": "p"}
    row = {"security_group": group.uuid, "direction": "ingress", "remote_ip_prefix": "10.0.0.0/8", **values}
    return database, traced.insert(cloud.SecurityGroupRule, database=database, **row)


def origins_of(traced, database=None):
    """What stands behind the flows of the ACL stage, each once."""
    traced.compile()
    found = Provenance(
        EXPLANATIONS, northbound=traced.nb.store, cloud_store=None if database is None else database.store
    )
    rows = traced.sb.store.table(sb.LogicalFlow).rows.values()
    made = [found.of(row) for row in rows if row.external_ids.get("stage-name") == "ls_out_acl"]
    return list(dict.fromkeys(origin for origin in made if origin))


def test_a_flow_of_an_acl_names_the_acl_and_whose_it_is(traced):
    traced.acl(traced.switch("sw0"), "to-lport", "ip4", "drop", 7)
    assert [str(origin) for origin in origins_of(traced)] == ["acl to-lport 7 drop of logical switch sw0: ip4"]


def test_an_acl_made_for_a_rule_names_the_rule(traced):
    database, rule = cloud_with_rule(traced)
    traced.acl(traced.switch("sw0"), "to-lport", "ip4", "allow", 7, external_ids={RULE: rule.uuid})
    (without,) = origins_of(traced)
    assert str(without) == f"security group rule {rule.uuid}, by acl to-lport 7 allow: ip4"
    (origin,) = origins_of(traced, database)
    what = "ingress, IPv4, tcp, port 22-23, remote 10.0.0.0/8"
    assert str(origin) == f"security group rule {rule.uuid} ({what}) of web, by acl to-lport 7 allow"
    told = origin.to_json()
    assert (told["table"], told["security_group_rule"], told["security_group"]) == (
        *("ACL", rule.uuid),
        rule.security_group.uuid,
    )


def test_a_flow_of_a_port_names_the_port_as_people_do(traced):
    switch = traced.switch("sw0")
    traced.port(switch, "p1", "0a:00:00:00:00:01 10.0.0.1", external_ids={"neutron:port_name": "web"})
    traced.compile()
    found = Provenance(EXPLANATIONS, northbound=traced.nb.store)
    texts = {str(found.of(row)) for row in traced.sb.store.table(sb.LogicalFlow).rows.values()}
    assert "logical switch port p1 (web)" in texts
    assert "" in texts  # flows made for no row


def test_rows_of_a_router_are_described_with_its_name(traced):
    router = traced.insert(nb.LogicalRouter, name="r0")
    traced.insert(nb.LogicalRouterPort, (router, "ports"), name="rp", mac="0a:00:00:00:ff:01", networks={"10.0.0.1/24"})
    policy = {"priority": 100, "match": "ip4.dst == 10.9.0.0/16", "action": "drop"}
    traced.insert(nb.LogicalRouterPolicy, (router, "policies"), **policy)
    route = {"ip_prefix": "10.8.0.0/16", "nexthop": "10.0.0.9"}
    traced.insert(nb.LogicalRouterStaticRoute, (router, "static_routes"), **route)
    traced.compile()
    found = Provenance(EXPLANATIONS, northbound=traced.nb.store)
    texts = {str(found.of(row)) for row in traced.sb.store.table(sb.LogicalFlow).rows.values()}
    assert "routing policy 100 drop of logical router r0: ip4.dst == 10.9.0.0/16" in texts
    assert "static route 10.8.0.0/16 via 10.0.0.9 of logical router r0" in texts


def test_without_northbound_nothing_is_known(traced):
    traced.acl(traced.switch("sw0"), "to-lport", "ip4", "drop", 7)
    traced.compile()
    assert not any(Provenance(EXPLANATIONS).of(row) for row in traced.sb.store.table(sb.LogicalFlow).rows.values())
    assert len(traced.nb.store.table(nb.ACL).rows) == 1


def test_stages_explain_what_no_row_does():
    explain = Provenance(EXPLANATIONS).explain
    assert "no port of the switch has that MAC address" in explain("ls_in_l2_unknown")
    assert explain("ls_in_apply_port_sec", refused="the port security of x") == "the port security of x"
    assert explain("ls_in_acl") == ""
