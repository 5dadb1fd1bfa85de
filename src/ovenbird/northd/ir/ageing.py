"""The expiry of what chassis have learned: thresholds by address, and how many rows may expire at once.

ovn-nb(5) of OVN 24.03 and later, Logical_Router, `options:mac_binding_age_threshold`: entries `[CIDR:]SECONDS` between
semicolons, of which the longest prefix around an address counts, and the one without a CIDR for other addresses. The
single number of earlier releases is such an entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.model import nb
from ovenbird.model.options import number
from ovenbird.namedtuple import NamedTuple
from ovenbird.net.ip import ip_network, is_address
from ovenbird.net.numbers import integer
from ovenbird.northd.ir.router_port import number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.engine.rows import Store

FDB_AGE_THRESHOLD = "fdb_age_threshold"
"""The option of a switch, and what northd tells controllers in `external_ids` of its datapath."""

_LONGEST = 0xFFFF_FFFF
_MOST = 4096
"""How many entries are read; more are invalid."""


class AgeThresholds(NamedTuple):
    """Seconds by network; 0 means never.

    Arguments:
        networks: (bits of an address, first address, prefix length, seconds), the longest prefix first.
        default: that of addresses in none of the networks.
    """

    networks: tuple[tuple[int, int, int, int], ...]
    default: int

    def of(self, ip: str) -> int:
        """Return the threshold of an address."""
        if not self.networks or not is_address(ip):
            return self.default
        width, address = 128 if ":" in ip else 32, number_of(ip)
        for bits, first, length, seconds in self.networks:
            if bits == width and not (address ^ first) >> (bits - length):
                return seconds
        return self.default


def parse_thresholds(text: str) -> AgeThresholds | None:
    """Return the thresholds in an option; None for an empty and for an invalid one."""
    entries = text.split(";")
    if not text or len(entries) > _MOST:
        return None
    networks, default = [], 0
    for entry in entries:
        cidr, _, given = entry.strip().rpartition(":")
        seconds = integer(given, 0, _LONGEST)
        if seconds is None:
            return None
        if not cidr:
            default = seconds
            continue
        try:
            network = ip_network(cidr, strict=False)
        except ValueError:
            return None
        networks.append((network.max_prefixlen, int(network.network_address), network.prefixlen, seconds))
    return AgeThresholds(tuple(sorted(networks, key=_by_length)), default)


def _by_length(network: tuple[int, int, int, int]) -> int:
    return -network[2]


def fdb_age_threshold(options: Mapping[str, str]) -> int:
    """Return after how many seconds a switch's learned MAC addresses expire; 0 for never."""
    return number(options, FDB_AGE_THRESHOLD, 0, high=_LONGEST)


def removal_limit(northbound: Store, name: str) -> int:
    """Return how many rows may expire in one transaction; 0 for any number.

    Arguments:
        northbound: has NB_Global.
        name: the option of NB_Global.
    """
    for row in northbound.table(nb.NBGlobal).rows.values():
        return number(row.options, name, 0)
    return 0
