"""What the controller makes of DHCP messages that a router's port relays."""

from __future__ import annotations

import pytest

from ovenbird.controller.pinctrl import dhcp_relay
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.net import dhcp4
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.udp import Udp

CLIENT, ROUTER = bytes.fromhex("0a0000000001"), bytes.fromhex("0a00000000ff")
RELAY, SERVER, ADDRESS = bytes([10, 0, 0, 1]), bytes([172, 16, 0, 2]), bytes([10, 0, 0, 11])
EVERYBODY = b"\xff" * 4
MASK = bytes([255, 255, 255, 0])
USERDATA = Userdata(Opcode.DHCP_RELAY_REQ_CHK, None, RELAY + SERVER)


def packet(message, *, src, dst, ports):
    segment = Udp(sport=ports[0], dport=ports[1], payload=message).encode(src=src, dst=dst)
    ip = IPv4(src=src, dst=dst, proto=17, payload=segment, ttl=63)
    return Ethernet(dst=ROUTER, src=CLIENT, ethertype=0x0800, payload=ip.encode()).encode()


def opened(made):
    frame = Ethernet.decode(made)
    ip = IPv4.decode(frame.payload)
    udp = Udp.decode(ip.payload)
    assert Udp(sport=udp.sport, dport=udp.dport, payload=udp.payload).encode(src=ip.src, dst=ip.dst) == ip.payload
    return frame, ip, udp


def request(kind=dhcp4.DISCOVER, options=None, **fields):
    options = {dhcp4.MESSAGE_TYPE: bytes([kind]), **(options or {})} if kind else {}
    message = dhcp4.Dhcp4(op=fields.pop("op", 1), xid=7, chaddr=CLIENT, options=options, **fields).encode()
    return packet(message, src=bytes(4), dst=EVERYBODY, ports=(68, 67))


def reply(kind=dhcp4.OFFER, options=None, **fields):
    given = {dhcp4.MESSAGE_TYPE: bytes([kind]), dhcp4.SERVER_ID: SERVER, dhcp4.NETMASK: MASK}
    fields = {"op": 2, "xid": 7, "chaddr": CLIENT, "yiaddr": ADDRESS, "giaddr": RELAY} | fields
    message = dhcp4.Dhcp4(options=given | (options or {}), **fields).encode()
    return packet(message, src=SERVER, dst=RELAY, ports=(67, 67))


def test_a_request_has_the_relays_address_and_is_else_as_it_came():
    asked = request(options={dhcp4.CLIENT_ID: b"\x01" + CLIENT, dhcp4.PARAMETERS: b"\x01\x03"}, hops=2)
    frame, ip, udp = opened(dhcp_relay.to_server(asked, USERDATA))
    before = Udp.decode(IPv4.decode(Ethernet.decode(asked).payload).payload).payload
    assert (frame.dst, frame.src, ip.src, ip.dst, ip.ttl) == (ROUTER, CLIENT, bytes(4), EVERYBODY, 63)
    message = dhcp4.Dhcp4.decode(udp.payload)
    assert (message.giaddr, message.hops) == (RELAY, 3)
    assert udp.payload[:3] + udp.payload[4:24] + udp.payload[28:] == before[:3] + before[4:24] + before[28:]


@pytest.mark.parametrize("fields", [{"giaddr": RELAY}, {"op": 2}, {"hops": 16}, {"kind": 0}])
def test_messages_that_are_not_new_requests_are_not_relayed(fields):
    assert dhcp_relay.to_server(request(**fields), USERDATA) is None


def test_a_reply_goes_to_the_client():
    answered = reply()
    frame, ip, udp = opened(dhcp_relay.to_client(answered, USERDATA))
    assert (frame.dst, frame.src, ip.src, ip.dst) == (CLIENT, CLIENT, SERVER, ADDRESS)
    assert udp.payload == Udp.decode(IPv4.decode(Ethernet.decode(answered).payload).payload).payload


@pytest.mark.parametrize("fields", [{"flags": dhcp4.BROADCAST_FLAG}, {"kind": dhcp4.NAK, "yiaddr": bytes(4)}])
def test_a_client_that_has_no_address_to_reach_it_by_gets_a_broadcast(fields):
    _, ip, _ = opened(dhcp_relay.to_client(reply(**fields), USERDATA))
    assert ip.dst == EVERYBODY


@pytest.mark.parametrize(
    "fields",
    [
        {"giaddr": ADDRESS}, {"giaddr": bytes(4)}, {"op": 1}, {"chaddr": b""}, {"chaddr": b"\x01" * 16},
        {"options": {dhcp4.SERVER_ID: RELAY}}, {"options": {dhcp4.SERVER_ID: b""}}, {"yiaddr": bytes([10, 1, 0, 11])},
        {"options": {dhcp4.MESSAGE_TYPE: b""}},
    ],
)  # fmt: skip
def test_replies_that_are_not_for_a_client_here_are_not_relayed(fields):
    assert dhcp_relay.to_client(reply(**fields), USERDATA) is None


def test_a_server_that_gives_no_netmask_is_believed():
    assert dhcp_relay.to_client(reply(options={dhcp4.NETMASK: b""}, yiaddr=bytes([10, 1, 0, 11])), USERDATA)


@pytest.mark.parametrize("relay", [dhcp_relay.to_server, dhcp_relay.to_client])
def test_malformed_dhcp_messages_are_errors(relay):
    for bad in (b"", request()[:60], packet(b"", src=RELAY, dst=SERVER, ports=(68, 67))):
        with pytest.raises(PacketError):
            relay(bad, USERDATA)
    with pytest.raises(PacketError):
        relay(request(), Userdata(Opcode.DHCP_RELAY_REQ_CHK, None, RELAY))
