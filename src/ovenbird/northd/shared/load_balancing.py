"""Common parts of load balancing in switches and routers: the actions that choose a backend and learn the choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.northd.ir.addresses import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovenbird.northd.ir.load_balancer import Balancer
    from ovenbird.northd.ir.socket_address import SocketAddress


def order(at: SocketAddress) -> int:
    """Return the priority of the flows of a virtual address: those with a port precede those without."""
    return 120 if at.port else 110


def backends_action(backends: Iterable[SocketAddress], *, hashed: str = "", mark: str = "") -> str:
    """Return the action that sends a new connection to one of the backends.

    Arguments:
        backends: at least one; one that is listed twice gets twice as many connections.
        hashed: the fields whose hash chooses the backend; empty for the default.
        mark: `skip_snat`, `force_snat` or empty.
    """
    by = f'; hash_fields="{hashed}"' if hashed else ""
    return f"ct_lb_mark(backends={','.join(map(str, backends))}{by}{f'; {mark}' if mark else ''});"


def event_action(made: Balancer, at: SocketAddress) -> tuple[str, str]:
    """Return the match of packets to a virtual address without backends, and the `trigger_event` that reports them."""
    match = f"{at.family}.dst == {at.ip} && {made.protocol}"
    match += f" && {made.protocol}.dst == {at.port}" if at.port else ""
    event = f'event = "empty_lb_backends", vip = {quote(str(at))}, protocol = "{made.protocol}"'
    return match, f'trigger_event({event}, load_balancer = "{made.uuid}");'


def learn_action(made: Balancer, at: SocketAddress, *, backend: SocketAddress) -> str:
    """Return the action that learns the backend of a client of a virtual address.

    Arguments:
        made: the load balancer.
        at: the virtual address.
        backend: the backend.
    """
    protocol = f", proto = {made.protocol}" if at.port else ""
    ends = f"vip = {quote(str(at))}, backend = {quote(str(backend))}"
    return f"commit_lb_aff({ends}{protocol}, timeout = {made.affinity});"
