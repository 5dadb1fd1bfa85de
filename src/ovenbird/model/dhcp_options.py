"""The DHCP options that chassis can encode: names, codes and types (ovn-sb(5), DHCP_Options, DHCPv6_Options).

Codes are IANA's "BOOTP Vendor Extensions and DHCP Options" and "DHCPv6 option codes"; 253 and 254 stand for fields of
the header and an alternative boot file, which have no code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOUR = {
    "ipv4": """
        offerip 0, router 3, dns_server 6, log_server 7, lpr_server 9, swap_server 16, policy_filter 21,
        broadcast_address 28, router_solicitation 32, nis_server 41, ntp_server 42, netbios_name_server 44,
        server_id 54, netmask 1, tftp_server_address 150, next_server 253
    """,
    "static_routes": "classless_static_route 121, ms_classless_static_route 249",
    "bool": "ip_forward_enable 19, router_discovery 31, ethernet_encap 36",
    "uint8": "default_ttl 23, tcp_ttl 37, netbios_node_type 46",
    "uint16": "mtu 26",
    "uint32": "arp_cache_timeout 35, tcp_keepalive_interval 38, lease_time 51, T1 58, T2 59",
    "str": "hostname 12, domain_name 15, bootfile_name 67, path_prefix 210, wpad 252, bootfile_name_alt 254",
    "host_id": "tftp_server 66",
    "domains": "domain_search_list 119",
}
_SIX = {"mac": "server_id 2", "ipv6": "ia_addr 5, dns_server 23", "str": "domain_search 24"}


def known(version: int) -> Iterator[tuple[str, int, str]]:
    """Yield the name, code and type of every option that a chassis can encode for an IP version."""
    for kind, text in (_FOUR if version == 4 else _SIX).items():
        for entry in text.split(","):
            name, code = entry.split()
            yield name, int(code), kind


FQDN = ("fqdn", 39, "domain")
"""A DHCPv6 option whose type schemas have since OVN 24.03: it is in Southbound only where it is used."""
