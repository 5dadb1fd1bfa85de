"""The answers to DHCP clients."""

from __future__ import annotations

import pytest

from ovenbird.controller.pinctrl import dhcp4 as answers
from ovenbird.lang.actions.userdata import Opcode, Userdata
from ovenbird.net import dhcp4
from ovenbird.net.errors import PacketError
from ovenbird.net.ethernet import Ethernet
from ovenbird.net.ipv4 import IPv4
from ovenbird.net.udp import Udp

MAC = bytes.fromhex("0a0000000001")
OFFER, SERVER = bytes([10, 0, 0, 11]), bytes([10, 0, 0, 1])
OPTIONS = bytes([51, 4, 0, 0, 14, 16, 58, 4, 0, 0, 1, 0, 54, 4, *SERVER, 3, 4, *SERVER])
USERDATA = Userdata(Opcode.PUT_DHCP_OPTS, None, OFFER + OPTIONS)


def ask(kind, options=None, **fields):
    message = dhcp4.Dhcp4(
        op=1, xid=7, chaddr=MAC, options={dhcp4.MESSAGE_TYPE: bytes([kind]), **(options or {})}, **fields
    )
    src, dst = fields.get("ciaddr", bytes(4)), b"\xff" * 4
    packet = IPv4(
        src=src, dst=dst, proto=17, payload=Udp(sport=68, dport=67, payload=message.encode()).encode(src=src, dst=dst)
    )
    return Ethernet(dst=b"\xff" * 6, src=MAC, ethertype=0x0800, payload=packet.encode()).encode()


def reply_to(packet):
    made = answers.answer(packet, USERDATA)
    assert made is not None
    ip = IPv4.decode(Ethernet.decode(made).payload)
    return ip, dhcp4.Dhcp4.decode(Udp.decode(ip.payload).payload)


def test_a_discover_is_answered_with_an_offer():
    ip, reply = reply_to(ask(dhcp4.DISCOVER))
    assert (reply.message_type, reply.op, reply.xid, reply.yiaddr, reply.chaddr) == (dhcp4.OFFER, 2, 7, OFFER, MAC)
    assert (reply.options[dhcp4.SERVER_ID], reply.options[dhcp4.LEASE_TIME]) == (SERVER, bytes([0, 0, 14, 16]))
    assert ip.dst == OFFER


def test_a_client_that_cannot_be_reached_by_address_is_told_by_broadcast():
    ip, _ = reply_to(ask(dhcp4.DISCOVER, flags=dhcp4.BROADCAST_FLAG))
    assert ip.dst == b"\xff" * 4


@pytest.mark.parametrize(("options", "fields"), [({dhcp4.REQUESTED_IP: OFFER}, {}), ({}, {"ciaddr": OFFER})])
def test_a_request_for_the_offer_is_granted(options, fields):
    _, reply = reply_to(ask(dhcp4.REQUEST, options, **fields))
    assert (reply.message_type, reply.yiaddr) == (dhcp4.ACK, OFFER)


@pytest.mark.parametrize(
    ("options", "fields"), [({dhcp4.REQUESTED_IP: SERVER}, {}), ({}, {"ciaddr": SERVER}), ({}, {})]
)
def test_a_request_for_another_address_is_refused(options, fields):
    ip, reply = reply_to(ask(dhcp4.REQUEST, options, **fields))
    assert (reply.message_type, reply.yiaddr, ip.dst) == (dhcp4.NAK, bytes(4), b"\xff" * 4)
    assert set(reply.options) == {dhcp4.MESSAGE_TYPE, dhcp4.SERVER_ID}


def test_settings_alone_come_without_a_lease():
    _, reply = reply_to(ask(dhcp4.INFORM, ciaddr=OFFER))
    assert (reply.message_type, reply.yiaddr) == (dhcp4.ACK, bytes(4))
    assert not {dhcp4.LEASE_TIME, dhcp4.RENEWAL_TIME, dhcp4.REBINDING_TIME} & set(reply.options)


def test_the_boot_file_depends_on_the_client(monkeypatch):
    more = bytes([67, 2]) + b"in" + bytes([254, 3]) + b"out" + bytes([253, 4, 9, 9, 9, 9])
    monkeypatch.setattr(__name__ + ".USERDATA", Userdata(Opcode.PUT_DHCP_OPTS, None, OFFER + OPTIONS + more))
    for options, file in (({}, b"out"), ({175: b"x"}, b"in")):
        _, reply = reply_to(ask(dhcp4.DISCOVER, options))
        assert (reply.options[67], reply.file, reply.siaddr) == (file, file, bytes([9] * 4))
        assert not {253, 254} & set(reply.options)


@pytest.mark.parametrize("kind", [dhcp4.RELEASE, dhcp4.DECLINE, dhcp4.ACK])
def test_packets_that_need_no_answer_get_none(kind):
    assert answers.answer(ask(kind), USERDATA) is None


def test_an_invalid_dhcp_message_is_an_error():
    with pytest.raises(PacketError):
        answers.answer(ask(dhcp4.DISCOVER)[:200], USERDATA)
