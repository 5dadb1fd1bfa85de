"""Common parts of load balancing in switches and routers: the actions that choose a backend and learn the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.northd.ir.addresses import quote

if TYPE_CHECKING:
    from ovenbird.northd.ir.load_balancer import Balancer
    from ovenbird.northd.ir.socket_address import SocketAddress


def order(at: SocketAddress) -> int:
    """Return the priority of the flows of a virtual address: those with a port precede those without."""
    return 120 if at.port else 110


def event_action(made: Balancer, at: SocketAddress) -> tuple[str, str]:
    """Return the match of packets to a virtual address without backends, and the `trigger_event` that reports them."""
    match = f"{at.family}.dst == {at.ip} && {made.protocol}"
    match += f" && {made.protocol}.dst == {at.port}" if at.port else ""
    event = f'event = "empty_lb_backends", vip = {quote(str(at))}, protocol = "{made.protocol}"'
    return match, f'trigger_event({event}, load_balancer = "{made.uuid}");'


def learn_action(made: Balancer, at: SocketAddress, *, backend: SocketAddress) -> str:
    """Return the actions that learn the backend of a client of a virtual address, and go on.

    (ovn-northd drops the packet, so that every client's first connection takes a second longer.)

    Arguments:
        made: the load balancer.
        at: the virtual address.
        backend: the backend.
    """
    protocol = f", proto = {made.protocol}" if at.port else ""
    ends = f"vip = {quote(str(at))}, backend = {quote(str(backend))}"
    return f"commit_lb_aff({ends}{protocol}, timeout = {made.affinity}); next;"
