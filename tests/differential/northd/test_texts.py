"""Texts of Northbound as Debian's northd reads them and as ours does: valid ones, with junk behind, and nearly valid.

Compared is what became of each: which addresses and numbers are in which stages of its network's flows, and what its
ports' bindings say.
"""

import pytest

from ovenbird.northd.ir.addresses import parse_ip, parse_mac
from support.northd.texts import Texts

MAC = "00:00:00:00:00:0a"
MACS = [
    MAC, "0:0:0:0:0:a", "00:00:00:00:00:0A", "00-00-00-00-00-0a", "00:00:00:00:00", "00:00:00:00:00:0a:0b",
    "00:00:00:00:00:1g", "000:00:00:00:00:0a", " 00:00:00:00:00:0a", "00:00:00:00:00:0a ", "", "x",
    "00:00:00:00:00:0ax", "00:00:00:00:00:0a,", "00000000000a", "0x0:0:0:0:0:a", "00:00:00:00:00:100",
]  # fmt: skip
FOURS = [
    "10.0.0.9", "10.0.0.9/24", "10.0.0.9/255.255.255.0", "10.0.0.9/0", "10.0.0.9/33", "10.0.0.9/-1", "10.0.0.9/",
    "10.0.0.9/255.0.255.0", "10.0.0.009", "010.0.0.9", "10.0.0.256", "10.0.0", "10.0.0.9.1", "10.0.0.9x", " 10.0.0.9",
    "10.0.0.9 ", "0.0.0.0", "10.0.0.9/24/24", "10.0.0.9/24x", "10.0.0.9 junk", "10.0.0.9,10.0.0.10", "٣.0.0.1",
    "10.0.0.9/ 24", "10.0.0.9 /24", "10.0.0.9/+24", "10.0.0.9/024", "10.0.0.9 10.0.0.10", "10.0.0.9\t", "",
]  # fmt: skip
SIXES = [
    "fd00::9", "fd00::9/64", "FD00::9", "fd00:0::0009", "fd00::9%eth0", "fd00::9/129", "fd00::9/", "fd00:::9",
    "fd00::9::1", "::", "::1", "::ffff:10.0.0.9", "fd00::9 junk", "fd00::9x", "fd00::g", "1:2:3:4:5:6:7:8:9",
    "fd00::9/ffff:ffff:ffff:ffff::", "fe80::9", "fd00::9/64/64", "fd00::9/064", "fd00::9 fd00::a", "fd00::9/0",
]  # fmt: skip
IPS = FOURS + SIXES
NUMBERS = ["0", "1500", "1500x", "x", "", "-5", "+9", " 9", "0x10", "010", "1_0", "٣", "1.5", "9" * 20, "4294967296"]
FLAGS = ["true", "True", "FALSE", "no", "1", "", " true"]


def texts(kind):
    made = Texts()
    KINDS[kind](made)
    return made


def of_addresses(made):
    for text in MACS:
        made.add("mac", text, addresses=[text])
        made.add("mac and ip", text, addresses=[f"{text} 10.0.0.9"])
    for text in IPS:
        made.add("ip", text, addresses=[f"{MAC} {text}"])
        made.add("ip between", text, addresses=[f"{MAC} 10.0.0.8 {text} 10.0.0.7 fd00::7"])
    for text in ["unknown", "unknown ", "Unknown", "router", "router x", "dynamic", "dynamicx", f"!{MAC} 10.0.0.9",
                 f"{MAC} unknown", f"{MAC} dynamic", "dynamic 10.0.0.9", f"{MAC}  10.0.0.9",
                 f"{MAC},10.0.0.9"]:  # fmt: skip
        made.add("word", text, addresses=[text])


def of_networks(made):
    for text in MACS:
        made.add("port mac", text, mac=text)
    for text in IPS:
        made.add("network", text, networks=[text])
        made.add("network beside", text, networks=["10.0.0.254/24", text])


def of_routes(made):
    for text in IPS:
        made.add(
            "prefix", text, static_routes=[{"ip_prefix": text, "nexthop": "fd00::2" if ":" in text else "10.0.0.2"}]
        )
        prefix = "2001:db8::/32" if ":" in text else "1.0.0.0/8"
        made.add("next hop", text, static_routes=[{"ip_prefix": prefix, "nexthop": text}])
        policy = {"priority": 1, "match": "ip", "action": "reroute"}
        made.add("policy", text, policies=[{**policy, "nexthop": text}])
    for text in NUMBERS:
        policy = {"priority": 1, "match": "ip", "action": "allow"}
        made.add("mark", text, policies=[{**policy, "options": {"pkt_mark": text}}])
    for text in FLAGS:
        routes = [{"ip_prefix": "1.0.0.0/8", "nexthop": f"10.0.0.{n}", "options": {"ecmp_symmetric_reply": text}}
                  for n in (2, 3)]  # fmt: skip
        made.add("symmetric", text, static_routes=routes, router={"chassis": "gw"})


def of_translations(made, kind="snat", **given):
    for text in IPS:
        inner, outer = ("fd01::1", "fd00::77") if ":" in text else ("10.1.0.1", "10.0.0.77")
        made.add("external", text, nat=[{"type": kind, "external_ip": text, "logical_ip": inner}], **given)
        made.add("logical", text, nat=[{"type": kind, "external_ip": outer, "logical_ip": text}], **given)


def of_central_translations(made):
    of_translations(made, gateway=True)


def of_floating_addresses(made):
    of_translations(made, "dnat_and_snat", gateway=True)


def of_gateway_routers(made):
    of_translations(made, "dnat_and_snat", router={"chassis": "gw"})


FLOATING = {"type": "dnat_and_snat", "external_ip": "10.0.0.77", "logical_ip": "10.1.0.1"}


def of_translation_options(made):
    for text in MACS:
        made.add("mac", text, nat=[{**FLOATING, "external_mac": text, "logical_port": "vm"}], gateway=True)
    for text in FLAGS:
        made.add("stateless", text, nat=[{**FLOATING, "options": {"stateless": text}}], gateway=True)
    for text in ["10.0.0.9", "10.0.0.5 fd00::5", "10.0.0.5 fd00::5 junk", "", "x", "10.0.0"]:  # others end the original
        made.add("forced", text, nat=[FLOATING], router={"chassis": "gw", "dnat_force_snat_ip": text})


def of_plain_external_macs(made):
    """An `external_mac` means nothing without a `logical_port`, nor where a translation is not `dnat_and_snat`."""
    outward = {"external_ip": "10.0.0.50", "logical_ip": "192.168.0.5"}
    for text in MACS:
        for gateway in (True, False):
            rest = {"gateway": True} if gateway else {"router": {"chassis": "gw"}}
            for port in ({}, {"logical_port": ""}, {"logical_port": "vm"}):
                made.add("plain mac", text, nat=[{**outward, "type": "dnat", "external_mac": text, **port}], **rest)


def of_numbers(made):
    advertise = {"address_mode": "slaac", "send_periodic": "true"}
    for text in NUMBERS:
        made.add("gateway mtu", text, port={"gateway_mtu": text}, gateway=True)
        made.add("queue", text, options={"qdisc_queue_id": text})
        made.add("zone", text, router={"snat-ct-zone": text})
        made.add("ra mtu", text, advertise={**advertise, "mtu": text})
        made.add("ra most", text, advertise={**advertise, "max_interval": text})
        made.add("ra least", text, advertise={**advertise, "min_interval": text})


def of_flags(made):
    for text in FLAGS:
        made.add("vlan", text, switch={"vlan-passthru": text})
        made.add("learn", text, router={"always_learn_from_arp_request": text})
        made.add("neighbours", text, router={"dynamic_neigh_routers": text})
        made.add("prefix", text, port={"prefix": text})
        made.add("delegation", text, port={"prefix_delegation": text}, gateway=True)
        made.add("periodic", text, advertise={"address_mode": "slaac", "send_periodic": text})
        made.add("resides", text, port={"reside-on-redirect-chassis": text})
        made.add("fdb", text, type="localnet", options={"localnet_learn_fdb": text}, addresses=["unknown"])
    for text in ["slaac", "SLAAC", "dhcpv6_stateful", "dhcpv6_stateless", "x", "", "slaac "]:
        made.add("mode", text, advertise={"address_mode": text, "send_periodic": "true"})
    for text in ["HIGH", "LOW", "MEDIUM", "high", "x", ""]:
        given = {"address_mode": "slaac", "send_periodic": "true", "router_preference": text}
        made.add("preference", text, advertise=given)


def of_lists(made):
    for text in [*IPS, "10.0.0.8 10.0.0.9 x", "10.0.0.8,10.0.0.9"]:
        made.add("proxy", text, joint_options={"arp_proxy": text})
    for text in MACS:
        made.add("announced", text, joint_options={"nat-addresses": f"{text} 10.0.0.9"}, gateway=True)
    for text in IPS:
        made.add("announced ip", text, joint_options={"nat-addresses": f"{MAC} {text}"}, router={"chassis": "gw"})


def of_dhcp(made):
    four = {"server_id": "10.0.0.253", "server_mac": "00:00:00:00:00:fd", "lease_time": "60"}
    six = {"server_id": "00:00:00:00:00:fd"}
    for text in FOURS:
        made.add("cidr", text, dhcp={"cidr": text, "options": four})
        made.add("server", text, dhcp={"cidr": "10.0.0.0/24", "options": {**four, "server_id": text}})
    for text in SIXES:
        made.add("cidr6", text, dhcp6={"cidr": text, "options": six})
    for text in MACS:
        made.add("server mac", text, dhcp={"cidr": "10.0.0.0/24", "options": {**four, "server_mac": text}})
        made.add("server mac6", text, dhcp6={"cidr": "fd00::/64", "options": {"server_id": text}})
    for text in ["", "0", "x"]:
        made.add("lease", text, dhcp={"cidr": "10.0.0.0/24", "options": {**four, "lease_time": text}})
    for text in FLAGS:
        made.add("stateless", text, dhcp6={"cidr": "fd00::/64", "options": {**six, "dhcpv6_stateless": text}})


def of_empty_values(made):
    """A text without anything in it, and a 0, is a value where the column or the option is there."""
    route = {"ip_prefix": "1.0.0.0/8", "nexthop": "10.0.0.2"}
    made.add("output port", "", static_routes=[{**route, "output_port": ""}])
    made.add("parent", "", parent_name="", tag_request=5)
    made.add("redirect", "", port={"redirect-type": ""}, gateway=True)
    made.add("queue of a router", "0", joint_options={"qdisc_queue_id": "0"})
    made.add("peer", "", joint_options={"router-port": ""})


KINDS = {
    "addresses": of_addresses, "networks": of_networks, "routes": of_routes,
    "central translations": of_central_translations,
    "floating addresses": of_floating_addresses, "gateway routers": of_gateway_routers,
    "translation options": of_translation_options, "plain external MACs": of_plain_external_macs,
    "numbers": of_numbers, "flags": of_flags, "lists": of_lists, "dhcp": of_dhcp, "empty values": of_empty_values,
}  # fmt: skip


CUT = {"10.0.0.256", "00:00:00:00:00:100"}
"""Numbers that the original cuts to eight bits."""


def _external(text, word):
    """Allow for what the original does about external addresses that are not translated, or that no port is near to."""
    return (word[1] in ("lr_in_ip_input", "ls_in_l2_lkup") and (not parse_ip(text) or text in FAR)) or "/" in text


FAR = {"0.0.0.0", "::", "::1", "::ffff:10.0.0.9"}

REMEMBERS = ("lr_out_post_undnat", "lr_out_post_snat")

DIFFERENT = {
    "addresses": lambda text, _: text == "10.0.0.9/",  # with blanks behind, a prefix length
    "networks": lambda text, word: word[1] == "lr_in_ip_routing" and text.startswith("10.0.0.9/"),  # two at one port
    # A mask is copied as it is written; and only ours has routers of one switch find each other's addresses for `snat`.
    # Ours, as OVN since 24.03, remembers what comes in untranslated at a distributed gateway port.
    "central translations": lambda text, word: word[1] in ("ls_in_l2_lkup", *REMEMBERS) or _external(text, word),
    "floating addresses": lambda text, word: word[1] in REMEMBERS or _external(text, word),
    "gateway routers": _external,
    "translation options": lambda text, word: (
        word[1] in REMEMBERS or (not parse_mac(text) and word[1] == "ls_in_l2_lkup")
    ),
    # The original sends frames with such a MAC to the router, and answers ARP with it; the router does not admit them.
    "plain external MACs": lambda _, word: word[1] in ("ls_in_l2_lkup", "lr_in_ip_input"),
    # The original copies a queue's number as it is written, into a flow that nothing can read where it has a sign.
    "numbers": lambda _, word: "set_queue" in word[2] or "qdisc_queue_id" in word[2],
    "routes": lambda text, _: text == "::ffff:10.0.0.9",
    "dhcp": lambda text, _: text == "10.0.0.9/255.0.255.0",
}
"""What ours does not do as the original: for a text, a thing that only one of the two says."""


@pytest.mark.parametrize("kind", KINDS)
def test_texts(oracle, kind):
    made = texts(kind)
    oracle.nb.transact(*made.ops)
    oracle.sync()
    oracle.compile()
    theirs, ours = made.outcome(oracle.theirs), made.outcome(oracle.ours)
    differing = {
        name: (theirs[n] - ours[n], ours[n] - theirs[n])
        for n, name in made.names.items()
        if theirs[n] != ours[n] and name[1] not in CUT
    }
    allowed = DIFFERENT.get(kind, lambda _text, _word: False)
    left = [
        f"{name}: only theirs {sorted(map(str, one[0]))}, only ours {sorted(map(str, one[1]))}"
        for name, one in differing.items()
        if not all(allowed(name[1], word) for side in one for word in side)
    ]
    if left:
        pytest.fail("\n".join(left))
