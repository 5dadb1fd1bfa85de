"""DHCP options that people give to single ports: their names in Neutron, and in OVN.

Neutron's names are those that dnsmasq gave to options, or their numbers; OVN's are those that chassis know. An option
that no chassis knows, or whose value could mean more in a logical flow's action than a value, is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

from ovenbird.features.dhcp_options import known

if TYPE_CHECKING:
    from collections.abc import Mapping

_OTHERWISE = {
    4: {
        "arp-timeout": "arp_cache_timeout",
        "domain-search": "domain_search_list",
        "interface-mtu": "mtu",
        "server-ip-address": "next_server",
        "tcp-keepalive": "tcp_keepalive_interval",
        "150": "tftp_server_address",
        "255": "next_server",
    },
    6: {},
}
"""OVN's name of an option that has another one in Neutron, for each IP version."""

_TEXT = frozenset(("str", "host_id", "domains"))
"""Types whose values are strings, quoted in the action."""

_PLAIN = re.compile(r"[\w.:,/{} -]*\Z", re.ASCII)
"""What values that are no strings consist of: numbers, addresses, prefixes, and lists of them."""


def _names(version: int) -> dict[str, tuple[str, str]]:
    types = {name: kind for name, _, kind in known(version)}
    found = {name.replace("_", "-"): name for name in types}
    found |= {str(code): name for name, code, _ in known(version) if 0 < code < 253}
    found |= _OTHERWISE[version]
    return {name: (ovn, types[ovn]) for name, ovn in found.items()}


_NAMES = {version: _names(version) for version in (4, 6)}


def named_for_ovn(extra: Mapping[str, str], version: int) -> dict[str, str]:
    """Return a port's extra DHCP options under OVN's names.

    Arguments:
        extra: values by Neutron's names.
        version: 4 or 6.
    """
    options = {}
    for name, value in extra.items():
        ovn, kind = _NAMES[version].get(name.replace("_", "-"), ("", ""))
        if not ovn:
            continue
        if kind in _TEXT:
            options[ovn] = orjson.dumps(value.removeprefix('"').removesuffix('"')).decode()
        elif _PLAIN.match(value):
            listed = kind == "static_routes" and not value.startswith("{")
            options[ovn] = f"{{{value}}}" if listed else value
    return options
