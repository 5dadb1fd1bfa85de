"""Extra DHCP options of ports: Neutron's names, and OVN's.

Neutron's names are dnsmasq's names of options, or their numbers; OVN's are those that controllers know. An option that
no controller knows, or whose value cannot be encoded, is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from ovenbird.lang.dhcp_value import dhcp_value
from ovenbird.lang.errors import LangError
from ovenbird.model.dhcp_options import known

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

_ROUTES = ("classless_static_route",)
"""Options of which a port's own add to the subnet's: without those of its subnet it would not find metadata."""

_TEXT = frozenset(("str", "host_id", "domains"))
"""Types whose values are strings, quoted in the action."""


def _names(version: int) -> dict[str, tuple[str, str]]:
    types = {name: kind for name, _, kind in known(version)}
    found = {name.replace("_", "-"): name for name in types}
    found |= {str(code): name for name, code, _ in known(version) if 0 < code < 253}
    found |= _OTHERWISE[version]
    return {name: (ovn, types[ovn]) for name, ovn in found.items()}


_NAMES = {version: _names(version) for version in (4, 6)}


_IPXE = {
    f"tag:{condition}ipxe{version},{name}": option
    for condition, option in (("", "bootfile-name"), ("!", "bootfile-name-alt"))
    for version in ("", "6")
    for name in ("bootfile-name", "67", "59")
}
"""What a bare metal host boots by itself, and what iPXE boots then: names with dnsmasq's tags."""


def named_for_ovn(extra: Mapping[str, str], version: int, *, bare_metal: bool = False) -> dict[str, str]:
    """Return a port's extra DHCP options under OVN's names.

    Arguments:
        extra: values by Neutron's names.
        version: 4 or 6.
        bare_metal: whether names with dnsmasq's tags are known as well.
    """
    options = {}
    for name, value in extra.items():
        known_as = _IPXE.get(name, name) if bare_metal else name
        ovn, kind = _NAMES[version].get(known_as.replace("_", "-"), ("", ""))
        text = _text(kind, value)
        if ovn and _is_readable(version, ovn, kind, text):
            options[ovn] = text
    return options


def _text(kind: str, value: str) -> str:
    """Return a value as the action has it: strings quoted, lists in braces."""
    if kind in _TEXT:
        return orjson.dumps(value.removeprefix('"').removesuffix('"')).decode()
    listed = not value.startswith("{") and (kind == "static_routes" or "," in value)
    return f"{{{value}}}" if listed else value


def _is_readable(version: int, name: str, kind: str, text: str) -> bool:
    """Return whether a chassis can encode an option; one that it cannot would cost a port all the others."""
    try:
        dhcp_value(version, name, kind=kind, text=text)
    except LangError:
        return False
    return True


def merged(options: dict[str, str], *, extra: dict[str, str]) -> dict[str, str]:
    """Return a subnet's options with a port's own, whose routes come after the subnet's."""
    both = options | extra
    for name in _ROUTES:
        if name in options and name in extra:
            both[name] = f"{options[name][:-1]}, {extra[name][1:]}"
    return both
