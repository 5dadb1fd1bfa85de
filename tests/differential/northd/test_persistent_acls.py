"""ovn-trace of 23.03 reads our flows of persistent ACLs as they are meant, and a newer OVN decides as we do."""

import pytest

NETWORK = """
ls-add s0
lsp-add s0 p1
lsp-set-addresses p1 "00:00:00:00:00:01 10.0.0.1"
lsp-add s0 p2
lsp-set-addresses p2 "00:00:00:00:00:02 10.0.0.2"
acl-add s0 {direction} 9 "tcp.dst == 22" allow-related
acl-add s0 {direction} 8 "ip4" drop
newer set ACL priority=9 options:persist-established=true
"""
PACKET = (
    'inport == "p1" && eth.src == 00:00:00:00:00:01 && eth.dst == 00:00:00:00:00:02 && ip4.src == 10.0.0.1 && '
    "ip4.dst == 10.0.0.2 && ip.ttl == 64 && tcp.dst == {port} && ct_mark == {mark} && ct_label[80..95] == {owner}"
)
KEPT, OWNED, NOT_OWNED = 64, 1, 0


@pytest.mark.parametrize("direction", ["from-lport", "to-lport"])
@pytest.mark.parametrize(
    ("state", "port", "mark", "owner", "passes"),
    [
        ("new", 22, 0, NOT_OWNED, True),
        ("new", 23, 0, NOT_OWNED, False),
        ("est", 22, KEPT, OWNED, True),
        ("est", 23, KEPT, OWNED, True),  # the match was another when it began
        ("est", 23, 0, NOT_OWNED, False),
    ],
)
def test_a_connection_that_has_a_persistent_acl_passes(newer, direction, state, port, mark, owner, passes):
    newer.edit(NETWORK.format(direction=direction))
    newer.settle()
    newer.sync()
    packet = PACKET.format(port=port, mark=mark, owner=owner)
    for whose in newer.everyone:
        told = newer.trace(whose, "s0", packet, f"--ct={state}", f"--ct={state}")
        assert ('output("p2");' in "".join(told)) is passes, (whose, told)


def test_hosts_are_told_the_numbers_of_acls(newer):
    newer.edit(NETWORK.format(direction="to-lport"))
    newer.settle()
    newer.sync()
    wanted = {row["_uuid"][1] for row in newer.nb.select("ACL", "_uuid", "priority") if row["priority"] == 9}
    for client in [newer.ours, *([newer.theirs] if "theirs" in newer.everyone else [])]:
        assert {(row["_uuid"][1], row["id"]) for row in client.select("ACL_ID", "_uuid", "id")} == {
            (uuid, 1) for uuid in wanted
        }
