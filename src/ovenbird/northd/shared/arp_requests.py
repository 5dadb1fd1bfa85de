"""ARP and ND requests for a router's addresses in a switch: their matches and their destinations."""

from __future__ import annotations


def asks_for(ip: str) -> str:
    """Return the match of broadcast requests for an address's MAC; unicast requests are forwarded as any packet."""
    asks = f"nd_ns && nd.target == {ip}" if ":" in ip else f"arp.op == 1 && arp.tpa == {ip}"
    return f"flags[1] == 0 && eth.mcast && {asks}"


def asks_as(mac: str) -> str:
    """Return the match of broadcast requests and announcements of a router itself, by its MAC."""
    return f"eth.src == {{{mac}}} && eth.mcast && (arp.op == 1 || rarp.op == 3 || nd_ns)"


def asked(port: str, *, alone: bool) -> str:
    """Return the actions that forward a request to the router that answers it.

    Arguments:
        port: the switch port to the router, as a constant of the match language.
        alone: whether the switch has only ports to routers, so that the request need not be flooded.
    """
    out = f"outport = {port}; output;"
    return out if alone else f'clone {{{out} }}; outport = "_MC_flood_l2"; output;'
