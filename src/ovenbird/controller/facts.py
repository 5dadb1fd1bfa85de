"""What the controller's rules yield, besides edits of rows (`edits`).

- `FLOW(table, priority, match, actions, cookie)`: a flow of the integration bridge; match and actions are encoded.
- `PART(table, priority, match, cookie, order, actions)`: a piece of a flow that several rules make together, such as
  one port's copy of a flooded packet, or one conjunction: the flow's actions are its parts in the order of `order`.
- `ADDRESS_SET_FLOW(set, field, before, after, head, tail)`: for each member of an address set a fact, whose match is
  the entries `before`, the member as a value of `field`, and the entries `after`; `head` is what the fact has before
  the match (relation, table, priority) and `tail` what it has behind.
- `FAILED(name, error)`: a port of ours that the switch could not add, and what it says about it.
- `NOTICE(level, text)`: what of the configuration has no effect, and why, with the level of its line in the log.
- `MONITOR_CLAUSE(table, column, function, value)`: what to monitor in Southbound.
- `ZONE(name, number)`: a conntrack zone in use.
- `LIMIT(number, connections)`: how many connections a conntrack zone may have.
- `GROUP(number, spec)`: a group of the integration bridge, to which flows refer by number.
- `METER(number, unit, bands)`: a meter of the integration bridge, in Southbound's unit, its bands as (rate, burst).
- `ANNOUNCED(datapath, port, mac, address, rivals)`: an address that a physical network should hear of, at a port by
  keys, and the chassis heard now that might have announced it too.
- `ADVERTISED(datapath, port, shortest, longest, frame)`: a router advertisement to send at a port, by keys, and the
  seconds between one and the next.
- `SESSION(uuid, datapath, port, mac, source, address, numbers, times, enabled)`: a BFD session to run at a router's
  port, by keys; numbers are its UDP port and discriminator, times its intervals in milliseconds and its multiplier.
- `DELEGATION(port, datapath, key, mac)`: a router's port that asks a delegating router for a prefix through another
  port, by keys, of that MAC address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import Fact, Relation
from ovenbird.openflow.actions import encode_actions
from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import Match, encode_oxm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovenbird.engine.rows import Row
    from ovenbird.openflow.actions import Action

FLOW = Relation("flow")
PART = Relation("part of a flow")
ADDRESS_SET_FLOW = Relation("flow of each member")
FAILED = Relation("port that the switch could not add")
NOTICE = Relation("notice")
MONITOR_CLAUSE = Relation("monitor clause")
ZONE = Relation("conntrack zone")
LIMIT = Relation("limit of a conntrack zone")
GROUP = Relation("group")
METER = Relation("meter")
ADVERTISED = Relation("router advertisement")
SESSION = Relation("BFD session")
DELEGATION = Relation("prefix to ask for")
ANNOUNCED = Relation("address to announce")


def encode_match(fields: Mapping[str, tuple[int, int]]) -> bytes:
    """Encode a match as the switch will say it when asked: vlan_tci, which OpenFlow 1.3 has not, as its two parts."""
    tci = fields.get("vlan_tci")
    if tci is not None:
        value, mask = tci
        fields = {name: cube for name, cube in fields.items() if name != "vlan_tci"}
        if mask & 0x1FFF:
            fields["vlan_vid"] = (value & 0x1FFF, mask & 0x1FFF)
        if mask & 0xE000:
            fields["vlan_pcp"] = (value >> 13, mask >> 13)
    return Match(fields).encode()


def flow(
    table: int, priority: int, match: Mapping[str, tuple[int, int]], actions: Sequence[Action], cookie: int = 0
) -> Fact:
    """Make a flow's fact.

    Arguments:
        table: from 0 to 254.
        priority: from 0 to 65,535.
        match: value and mask of each field, by name.
        actions: in order; none for a flow that drops.
        cookie: 64 bits; the first half of the UUID of the Southbound row that the flow comes from.
    """
    return (FLOW, table, priority, encode_match(match), encode_actions(actions), cookie)


def part(
    table: int,
    priority: int,
    match: Mapping[str, tuple[int, int]],
    cookie: int,
    order: tuple[int, ...],
    actions: Sequence[Action],
) -> Fact:
    """Make the fact of one piece of a flow.

    Arguments:
        table: from 0 to 254.
        priority: from 0 to 65,535.
        match: value and mask of each field, by name.
        cookie: 64 bits, of the whole flow.
        order: where the piece's actions stand among those of the others.
        actions: in order.
    """
    return (PART, table, priority, encode_match(match), cookie, order, encode_actions(actions))


def address_set_flow(
    match: Mapping[str, tuple[int, int]], field: str, address_set: str, head: Fact, tail: tuple[object, ...]
) -> Fact:
    """Make the fact of a flow with an address set: a pattern, which each of the set's members fills.

    Arguments:
        match: the fields, among them `field`, whose value does not matter.
        field: the field that members are values of.
        address_set: the set's name.
        head: the members' facts up to the match: relation, table, priority.
        tail: the members' facts behind the match.
    """
    rank = FIELDS[field].rank
    before = encode_oxm({name: cube for name, cube in match.items() if FIELDS[name].rank < rank})
    after = encode_oxm({name: cube for name, cube in match.items() if FIELDS[name].rank > rank})
    return (ADDRESS_SET_FLOW, address_set, field, before, after, head, tail)


def cookie_of(row: Row) -> int:
    """Return the cookie of flows made for a row: the first 32 bits of its UUID, by which people find the row."""
    return int(row.uuid[:8], 16)
