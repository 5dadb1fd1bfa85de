"""The precedence of NAT rules with an address in common, whose flows would contradict each other.

`dnat_and_snat` takes precedence over `dnat`, that over `snat`, and of two of a type the one with the lower UUID.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.findings import finding
from ovenbird.model import nb
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.addresses import canonical
from ovenbird.northd.router.nat_rule import NatRule, nat_rule, told

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from ovenbird.engine.facts import Fact


def _outer(values: list[Any]) -> Iterable[str]:
    outer = values[nb.NAT.external_ip.index] if values[nb.NAT.type.index] != "snat" else ""
    return (address,) if outer and (address := canonical(outer)) else ()


def _inner(values: list[Any]) -> Iterable[str]:
    return (network,) if (network := canonical(values[nb.NAT.logical_ip.index])) else ()


LED_IN = ComputedIndex(nb.NAT.type, nb.NAT.external_ip, keys=_outer, parent=nb.LogicalRouter.nat)
"""A router's destination translations by external address; usually one each."""

TRANSLATED = ComputedIndex(nb.NAT.type, nb.NAT.external_ip, keys=_outer)
"""All routers' destination translations by external address."""

INSIDE = ComputedIndex(nb.NAT.logical_ip, keys=_inner, parent=nb.LogicalRouter.nat)
"""A router's translations by logical address or network; usually one each."""


class Say(NamedTuple):
    """Which translations have the say where another one has addresses in common with them: itself, if none has.

    Arguments:
        outside: over the external address: who answers for it and announces it.
        inside: over what leaves from the logical address, to the same peers and of the same kind.
        incoming: over what comes in to the external address, from the same peers and of the same kind.
        replies: over the replies to that, on the same chassis.
        leaving: over what leaves from the logical address at the instance's chassis.
    """

    outside: NatRule
    inside: NatRule
    incoming: NatRule
    replies: NatRule
    leaving: NatRule


def who_has_the_say(made: NatRule) -> Say:
    """Return who has the say over the addresses of a translation."""
    inward, outward = _others(made, LED_IN, made.outer), _others(made, INSIDE, made.inner)
    return Say(
        outside=_least(made, inward),
        inside=_least(made, [other for other in outward if other.sources and other.selects == made.selects]),
        incoming=_least(made, [other for other in inward if other.selects == made.selects]),
        replies=_least(
            made,
            [other for other in outward if other.destinations and other.where_active == made.where_active],
        ),
        leaving=_least(made, [other for other in outward if other.mac and other.resident == made.resident]),
    )


def _others(made: NatRule, index: ComputedIndex[nb.NAT], address: str) -> list[NatRule]:
    """Return the other translations of the same router and gateway port that are under an address in an index."""
    found = []
    for row in index.rows(made.router, address):
        other = nat_rule(row) if row.uuid != made.hint else None
        if other is not None and other.at == made.at:
            found.append(other)
    return found


def _least(made: NatRule, others: list[NatRule]) -> NatRule:
    return min([made, *others], key=lambda one: one.rank) if others else made


def outranked(nat: nb.NAT, made: NatRule, say: Say) -> Iterator[Fact]:
    """Say where a translation has no effect because another one has the say.

    Arguments:
        nat: the row.
        made: what it says, parsed.
        say: who has the say over its addresses.
    """
    if made.destinations and say.incoming.hint != made.hint:
        yield finding(nat, f"{told(nat)} does not translate incoming packets: {_told(say.incoming)} does")
    elif say.outside.mac and say.outside.hint != made.hint:
        yield finding(nat, f"{told(nat)} gets no replies: they go to {_told(say.outside)}, whose address it shares")
    if made.sources and say.inside.hint != made.hint:
        yield finding(nat, f"{told(nat)} does not translate outgoing packets: {_told(say.inside)} does")


def _told(made: NatRule) -> str:
    kind = "snat" if not made.destinations else "dnat_and_snat" if made.sources else "dnat"
    return f"{kind} {made.outer} of {made.inner}"
