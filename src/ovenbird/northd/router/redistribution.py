"""Which routes a router redistributes, and at which of its ports: the options of dynamic routing.

ovn-nb(5) of OVN 25.03, Logical_Router and Logical_Router_Port, `options:dynamic-routing…`. A port's list overrides its
router's. Some keys are of later releases: `-no-learning`, `-redistribute-local-only`, `-vrf-id`, `-v4-prefix-nexthop`,
`-v6-prefix-nexthop`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import flag
from ovenbird.northd.ir.router_port import enabled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.northd.ir.router_port import RouterPort


class Redistributed(StrEnum):
    """What may be redistributed; `connected-as-host` takes the place of `connected`."""

    CONNECTED = "connected"
    AS_HOST = "connected-as-host"
    STATIC = "static"
    NAT = "nat"
    LB = "lb"


LEFT_ALONE = "dynamic-routing-no-learning"
LOCAL_ONLY = "dynamic-routing-redistribute-local-only"


@view
def is_dynamic(router: nb.LogicalRouter) -> bool:
    """Return whether a router takes part in dynamic routing."""
    return flag(router.options, "dynamic-routing") and enabled(router)


@view
def _of_router(router: nb.LogicalRouter) -> str:
    return router.options.get("dynamic-routing-redistribute", "")


def words(lrp: nb.LogicalRouterPort) -> frozenset[str]:
    """Return the words of what a port redistributes; none if its router does not take part in dynamic routing."""
    router = lrp.referrer(nb.LogicalRouter.ports)
    if router is None or not is_dynamic(router):
        return frozenset()
    own = lrp.options.get("dynamic-routing-redistribute")
    text = own if own is not None else _of_router(router)
    return frozenset(filter(None, (word.strip() for word in text.split(","))))


@view
def redistributes(lrp: nb.LogicalRouterPort) -> frozenset[Redistributed]:
    """Return what a port redistributes."""
    given = words(lrp)
    if not given:
        return frozenset()
    found = frozenset(kind for kind in Redistributed if kind in given)
    return found - {Redistributed.CONNECTED} if Redistributed.AS_HOST in found else found


@view
def learns(lrp: nb.LogicalRouterPort) -> bool:
    """Return whether a router learns routes at a port."""
    router = lrp.referrer(nb.LogicalRouter.ports)
    return router is not None and is_dynamic(router) and not _flag(lrp, router, LEFT_ALONE)


def _flag(lrp: nb.LogicalRouterPort, router: nb.LogicalRouter, name: str) -> bool:
    """Return whether an option of a port, or of its router if the port does not say, is true."""
    return flag(lrp.options if name in lrp.options else router.options, name)


def exchange_options(lrp: nb.LogicalRouterPort, port: RouterPort, *, gateway: bool) -> Iterator[tuple[str, str]]:
    """Yield the options of a port binding by which chassis exchange the routes of a router.

    Arguments:
        lrp: the router port's row.
        port: the router port.
        gateway: whether the binding is one that a chassis hosts: a chassisredirect port, or that of a gateway router.
    """
    router = lrp.referrer(nb.LogicalRouter.ports)
    if router is None or not is_dynamic(router):
        return
    for name in (LEFT_ALONE, LOCAL_ONLY):
        if _flag(lrp, router, name):
            yield name, "true"
    if not gateway:
        return
    yield "dynamic-routing", "true"
    if flag(port.options, "dynamic-routing-maintain-vrf"):
        yield "dynamic-routing-maintain-vrf", "true"
    if (vrf := router.options.get("dynamic-routing-vrf-name")) is not None:
        yield "dynamic-routing-vrf-name", vrf
    if (interface := port.options.get("dynamic-routing-port-name")) is not None:
        yield "dynamic-routing-port-name", interface
