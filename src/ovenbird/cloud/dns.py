"""Names of instances: DNS records, which every chassis answers (ovn-nb(5), DNS).

Each port with a name has a row of its own, so that the cost of a name does not depend on the size of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.cloud import names
from ovenbird.cloud.addressing import fixed_addresses
from ovenbird.cloud.network import SWITCHES, domain
from ovenbird.engine.facts import Members
from ovenbird.engine.rules import rule
from ovenbird.model import cloud, nb
from ovenbird.net.ip import ip_address, is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact, Pairs, Relation


class RecordsRow(NamedTuple):
    """The records of a port: addresses by name, names by address."""

    relation: Relation
    external_ids: Pairs
    records: Pairs


DNS = names.RowsById(nb.DNS, RecordsRow, lambda ids: ids.get("port_id") if "ls_name" in ids else None)
DNS_OF_SWITCH = Members(SWITCHES, nb.LogicalSwitch.dns_records)


@rule(cloud.Port)
def port_names(port: cloud.Port) -> Iterator[Fact]:
    """Yield the DNS records of a port with a name: for its host name, its full name, and reverse lookups."""
    host = port.dns_name.lower()
    fixed = [address for address, _ in fixed_addresses(port) if is_address(address)] if host else []
    if not fixed:
        return
    network = port.network
    outer = port.dns_domain.rstrip(".").lower() or domain(network)
    full = f"{host}.{outer}" if outer else host
    both = " ".join(fixed)
    records = {host: both, full: both} | {ip_address(address).reverse_pointer: full for address in fixed}
    switch = names.switch(network.uuid)
    ids = (("ls_name", switch), ("port_id", port.uuid))
    yield DNS(external_ids=ids, records=tuple(sorted(records.items())))
    yield DNS_OF_SWITCH(switch, DNS.uuid(port.uuid))
