"""Native DNS: chassis answer queries for the names in the switch's DNS records.

ovn-nb(5), DNS; ovn-northd(8), "Ingress Table 22" and "23".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.facts import Members, NamedRows
from ovenbird.engine.rules import rule, singleton
from ovenbird.model import nb, sb
from ovenbird.model.options import flag
from ovenbird.namedtuple import NamedTuple
from ovenbird.northd.ir.copp import meters
from ovenbird.northd.ir.datapath_groups import DatapathGroup
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.ir.flow import flow_builder
from ovenbird.northd.ir.southbound_rows import datapath
from ovenbird.pipeline.registers import DNS_ANSWERED
from ovenbird.pipeline.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation

DNS_LOOKUP = stage("ls_in_dns_lookup")
DNS_RESPONSE = stage("ls_in_dns_response")
RESOLVING = DatapathGroup("dns")
"""Switches with DNS records."""

UNMETERED_DNS = DatapathGroup("dns without a meter")
"""Those of them without a meter for DNS queries."""


class DnsRow(NamedTuple):
    """Records that chassis answer with, by name."""

    relation: Relation
    record: str
    records: Pairs
    options: Pairs
    external_ids: Pairs


DNS = NamedRows(sb.DNS, DnsRow, key_of=lambda row: row.external_ids.get("dns_id", ""))
"""Key: UUID of the Northbound row, which is in `external_ids:dns_id`."""
DNS_OF = Members(DNS, sb.DNS.datapaths)

ASKED, ASK = "udp.dst == 53", f"{DNS_ANSWERED} = dns_lookup(); next;"

flow = flow_builder("dns")


@singleton
def answers() -> Iterator[Fact]:
    """Look DNS queries up, and send the answers back."""
    yield from (RESOLVING.row, UNMETERED_DNS.row)
    yield flow(DNS_LOOKUP, UNMETERED_DNS, 100, ASKED, ASK)
    for ip in ("ip4", "ip6"):
        yield flow(
            DNS_RESPONSE,
            RESOLVING,
            100,
            f"{ip} && udp.dst == 53 && {DNS_ANSWERED}",
            f"eth.dst <-> eth.src; {ip}.src <-> {ip}.dst; udp.dst = udp.src; udp.src = 53; outport = inport; "
            "flags.loopback = 1; output;",
        )


@rule(nb.LogicalSwitch)
def switch_records(switch: nb.LogicalSwitch) -> Iterator[Fact]:
    """Copy the DNS records that switches refer to; records without a switch are not copied."""
    records = switch.dns_records
    if not records:
        return
    where, meter = datapath(switch), meters(switch).get("dns")
    yield RESOLVING.includes(where)
    if meter is None:
        yield UNMETERED_DNS.includes(where)
    else:
        yield flow(DNS_LOOKUP, where, 100, ASKED, ASK, meter=meter)
    for record in records:
        owned = (("ovn-owned", "true"),) if flag(record.options, "ovn-owned") else ()
        yield DNS(record.uuid, records=_lowered(record), options=owned, external_ids=(("dns_id", record.uuid),))
        yield DNS_OF(record.uuid, where)


def _lowered(record: nb.DNS) -> Pairs:
    """Return the records with names in lower case, in which chassis compare them (RFC 4343)."""
    return tuple(sorted({name.lower(): addresses for name, addresses in record.records.items()}.items()))


FEATURE = Feature("dns", rules=(answers, switch_records), outputs=(DNS, DNS_OF))
