"""Native DNS: chassis answer names that the cloud put into the switch's DNS records.

ovn-nb(5), DNS; ovn-northd(8), "Ingress Table 22" and "23".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.rules import rule, singleton
from ovenbird.logical.feature import Feature
from ovenbird.logical.flow import Author
from ovenbird.logical.pipeline import stage
from ovenbird.logical.registers import DNS_ANSWERED
from ovenbird.logical.tables import DNS, DNS_OF, datapath
from ovenbird.logical.traits import Trait
from ovenbird.model import nb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

LOOKUP = stage("ls_in_dns_lookup")
RESPONSE = stage("ls_in_dns_response")
RESOLVING = Trait("dns")
"""Switches with DNS records."""

flow = Author("dns")


@singleton
def answers() -> Iterator[Fact]:
    """Look up what is asked, and send the answer back."""
    yield RESOLVING.row
    yield flow(LOOKUP, RESOLVING, 100, "udp.dst == 53", f"{DNS_ANSWERED} = dns_lookup(); next;")
    for ip in ("ip4", "ip6"):
        yield flow(
            RESPONSE,
            RESOLVING,
            100,
            f"{ip} && udp.dst == 53 && {DNS_ANSWERED}",
            f"eth.dst <-> eth.src; {ip}.src <-> {ip}.dst; udp.dst = udp.src; udp.src = 53; outport = inport; "
            "flags.loopback = 1; output;",
        )


@rule(nb.LogicalSwitch)
def switch_records(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Copy the records that a switch refers to; a record without a switch stays away from chassis."""
    for record in switch.dns_records:
        where = datapath(switch)
        yield RESOLVING.has(where)
        yield DNS(record.uuid, _lowered(record), (("dns_id", record.uuid),))
        yield DNS_OF(record.uuid, where)


def _lowered(record: nb.DNS) -> tuple[tuple[str, str], ...]:
    """Return the records by name in lower case, as chassis compare them (RFC 4343)."""
    return tuple(sorted({name.lower(): addresses for name, addresses in record.records.items()}.items()))


FEATURE = Feature("dns", (answers, switch_records))
