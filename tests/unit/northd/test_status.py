"""What flows back up, and what keeps its place: sequence numbers, times, tags, tunnel keys."""

from ovenbird.model import nb, sb
from support.northd.networks import Networks


def chassis(made, name, **private):
    txn = made.sb.transaction()
    encap = txn.insert(sb.Encap, {"type": "geneve", "ip": f"127.0.0.{len(name)}", "chassis_name": name})
    uuid = txn.insert(sb.Chassis, {"name": name, "encaps": frozenset([encap])})
    made_private = txn.insert(sb.ChassisPrivate, {"name": name, "chassis": uuid, **private})
    txn.commit()
    return made.sb.store.table(sb.ChassisPrivate).rows[made_private]


def the(made, row_class=nb.NBGlobal):
    (row,) = made.nb.store.table(row_class).rows.values()
    return row


def test_an_empty_northbound_gets_its_global_row_and_identity(networks):
    networks.settle()
    options = the(networks).options
    assert options["mac_prefix"].count(":") == 2
    assert networks.rows(sb.SBGlobal)[0].options == options


def test_the_clouds_own_options_stay(networks):
    networks.insert(nb.NBGlobal, options={"mac_prefix": "0a:0b:0c", "mine": "yes"})
    networks.settle()
    assert the(networks).options["mac_prefix"] == "0a:0b:0c"
    assert the(networks).options["mine"] == "yes"


def test_sb_cfg_follows_only_once_southbound_has_it(networks):
    networks.settle()
    row = the(networks)
    networks.update(row, nb_cfg=5)
    networks.time = 2000
    networks.wave()
    assert networks.rows(sb.SBGlobal)[0].nb_cfg == 5
    assert row.sb_cfg == 0
    networks.time = 3000
    networks.settle()
    assert (row.sb_cfg, row.nb_cfg_timestamp, row.sb_cfg_timestamp) == (5, 2000, 3000)
    assert row.hv_cfg == 5  # without chassis there is nobody to wait for


def test_each_sequence_number_has_the_time_of_its_own_change(networks):
    networks.settle()
    row = the(networks)
    for number in (1, 2, 3, 0):
        networks.update(row, nb_cfg=number)
        networks.time = 1000 * (number + 2)
        networks.settle()
        times = networks.time, networks.time
        assert (row.nb_cfg_timestamp, row.sb_cfg_timestamp) == times
        networks.time += 500
        networks.update(row, name="something else")
        networks.settle()
        again = Networks(networks.nb, networks.sb)  # whoever takes over finds the times there
        again.time = 99_000
        again.wave()
        assert (row.nb_cfg_timestamp, row.sb_cfg_timestamp) == times
        assert row.sb_cfg == number


def test_a_number_that_came_while_no_compiler_ran_has_the_time_at_which_it_was_seen(networks):
    networks.insert(nb.NBGlobal, nb_cfg=1)
    networks.settle()
    for table in (*networks.nb.store.tables.values(), *networks.sb.store.tables.values()):
        table.watchers = [w for w in table.watchers if getattr(w, "engine", None) is not networks.engine]
    networks.update(the(networks), nb_cfg=2)
    again = Networks(networks.nb, networks.sb)
    again.time = 99_000
    again.settle()
    assert (the(again).nb_cfg_timestamp, the(again).sb_cfg_timestamp) == (99_000, 99_000)


def test_a_northbound_that_started_over_waits_for_its_own_numbers(networks):
    networks.insert(nb.NBGlobal, nb_cfg=2)
    chassis(networks, "hv1", nb_cfg=100, nb_cfg_timestamp=30)
    networks.settle()
    assert the(networks).hv_cfg == 2


def test_hv_cfg_is_the_slowest_chassis_and_its_time_the_last_to_reach_it(networks):
    networks.insert(nb.NBGlobal, nb_cfg=7)
    slow = chassis(networks, "hv1", nb_cfg=3, nb_cfg_timestamp=30)
    chassis(networks, "hv22", nb_cfg=5, nb_cfg_timestamp=50)
    networks.settle()
    assert (the(networks).hv_cfg, the(networks).hv_cfg_timestamp) == (3, 30)
    networks.update(slow, nb_cfg=5, nb_cfg_timestamp=55)
    networks.settle()
    assert (the(networks).hv_cfg, the(networks).hv_cfg_timestamp) == (5, 55)


def test_the_acknowledgement_of_a_chassis_reads_no_other_chassis(networks):
    networks.insert(nb.NBGlobal, nb_cfg=7)
    everyone = [chassis(networks, f"hv{'v' * n}", nb_cfg=6, nb_cfg_timestamp=10) for n in range(30)]
    networks.settle()
    ran = []
    for n, one in enumerate(everyone):
        networks.update(one, nb_cfg=7, nb_cfg_timestamp=20 + n)
        ran.append(networks.wave())
    assert all(counts.get("northbound_global", 0) == 0 for counts in ran[:-1])
    networks.settle()
    assert (the(networks).hv_cfg, the(networks).hv_cfg_timestamp) == (7, 49)


def test_a_restart_changes_nothing(networks):
    switch = networks.switch("s0")
    port = networks.port(switch, "p0", "00:00:00:00:00:01 10.0.0.1", "unknown")
    networks.port(switch, "p1", "00:00:00:00:00:02 10.0.0.2")
    networks.delete(port, (switch, "ports"))  # p1 keeps its key, although one before it is free
    networks.acl(networks.group("pg", *switch.ports), "to-lport", "ip", "allow-related", log=True)
    networks.insert(nb.HAChassisGroup, name="ha")
    networks.settle()
    networks.update(the(networks), nb_cfg=1)
    networks.settle()
    again = Networks(networks.nb, networks.sb)
    again.time = 99_000
    again.quiet = True
    again.wave()
    assert again.quiet


def test_a_tag_is_given_as_asked_or_one_that_is_free_behind_the_parent(networks):
    switch = networks.switch("s0")
    fixed = networks.port(switch, "c1", parent_name="vm", tag_request=1)
    networks.settle()
    free = networks.port(switch, "c2", parent_name="vm", tag_request=0)
    networks.settle()
    assert fixed.tag == 1
    assert free.tag not in (None, 1)
    assert {b.logical_port: b.tag for b in networks.rows(sb.PortBinding)} == {"c1": 1, "c2": free.tag}


def test_a_tag_goes_with_the_request_for_it_and_one_of_the_clouds_own_stays(networks):
    switch = networks.switch("s0")
    ports = {
        "asked": networks.port(switch, "asked", tag_request=7),
        "free": networks.port(switch, "free", parent_name="vm", tag_request=0),
        "replaced": networks.port(switch, "replaced", tag_request=8),
        "own": networks.port(switch, "own", tag=5),
        "nothing": networks.port(switch, "nothing", tag=6, tag_request=0),
    }
    networks.settle()
    assert ports["asked"].tag == 7
    networks.update(ports["asked"], tag_request=None)
    networks.update(ports["free"], tag_request=None)
    networks.update(ports["nothing"], tag_request=None)
    networks.update(ports["own"], external_ids={"a": "b"})
    networks.update(ports["replaced"], tag_request=None, tag=9)
    networks.settle()
    expected = {"asked": None, "free": None, "replaced": 9, "own": 5, "nothing": 6}
    assert {name: port.tag for name, port in ports.items()} == expected
    assert {b.logical_port: b.tag for b in networks.rows(sb.PortBinding)} == expected


def test_learned_macs_go_with_their_port(networks):
    switch = networks.switch("s0")
    port = networks.port(switch, "p0", "unknown")
    networks.settle()
    (binding,) = networks.rows(sb.PortBinding)
    where = binding.datapath.tunnel_key
    for key in (binding.tunnel_key, binding.tunnel_key + 1):
        networks.insert(sb.FDB, database=networks.sb, mac=f"00:00:00:00:00:{key:02x}", dp_key=where, port_key=key)
    networks.settle()
    assert [f.port_key for f in networks.rows(sb.FDB)] == [binding.tunnel_key]
    networks.delete(port, (switch, "ports"))
    networks.settle()
    assert not networks.rows(sb.FDB)


def test_a_requested_key_moves_a_holder_that_did_not_request_it(networks):
    first = networks.switch("first")
    networks.settle()
    second = networks.switch("second", other_config={"requested-tnl-key": "1"})
    networks.settle()
    keys = {d.external_ids["name"]: d.tunnel_key for d in networks.rows(sb.DatapathBinding)}
    assert keys["second"] == 1
    assert keys["first"] != 1
    assert first.exists()
    assert second.exists()


def test_one_bad_port_stops_no_other(networks):
    switch = networks.switch("s0")
    networks.port(switch, "bad", "nonsense", "00:00:00:00:00:zz", "router", type="router")
    networks.port(switch, "good", "00:00:00:00:00:01 10.0.0.1")
    networks.settle()
    assert [flow[2] for flow in networks.flows("ls_in_l2_lkup", datapath="s0")][-1].startswith("eth.mcast")
    assert ("ls_in_l2_lkup", 50, "eth.dst == 00:00:00:00:00:01", 'outport = "good"; output;') in networks.flows()
