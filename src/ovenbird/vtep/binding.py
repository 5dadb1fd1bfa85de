"""Ports of type `vtep`: which are bound to the chassis of their physical switch.

A port names a physical switch and a logical switch of it (ovn-nb(5), `vtep-physical-switch`, `vtep-logical-switch`). A
logical switch belongs to one network, and has one port on each physical switch: further ones are left out, and ports
that are bound already take precedence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.facts import NamedRows
from ovenbird.engine.findings import finding
from ovenbird.engine.lookups import find
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model import sb
from ovenbird.model.binding_profile import LOGICAL_SWITCH, SWITCH
from ovenbird.model.vtep import LogicalSwitch
from ovenbird.vtep.gateways import binding_switches, gateway, is_gateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.engine.rules import Rule
    from ovenbird.vtep.gateways import Gateways

_PB = sb.PortBinding


class Bound(NamedTuple):
    """Where a port is.

    Arguments:
        relation: `BOUND`.
        uuid: the port binding's.
        chassis: the gateway's; None if the port is to be released.
        up: whether packets get there.
    """

    relation: Relation
    uuid: UUID
    chassis: UUID | None
    up: bool | None


BOUND = NamedRows(_PB, Bound, update_only=True, returned=True)


def _attached(values: list[Any]) -> Iterable[str]:
    options = values[_PB.options.index]
    return (options[LOGICAL_SWITCH],) if values[_PB.type.index] == "vtep" and LOGICAL_SWITCH in options else ()


_ATTACHED = ComputedIndex(_PB.type, _PB.options, keys=_attached)
"""Ports of type `vtep` by the name of their logical switch."""


@view
def candidates(logical_switch: LogicalSwitch) -> tuple[sb.PortBinding, ...]:
    """Return the ports that may be bound to a logical switch where it has VLANs, in the order of precedence."""
    where = binding_switches(logical_switch)
    found = [
        port
        for port in _ATTACHED.rows(logical_switch.name)
        if (name := port.options.get(SWITCH, "")) in where and gateway(name) is not None
    ]
    return tuple(sorted(found, key=lambda port: (_PB.chassis.raw(port) is None, port.logical_port)))


@view
def network(logical_switch: LogicalSwitch) -> UUID | None:
    """Return the datapath that a logical switch belongs to."""
    found = candidates(logical_switch)
    return _PB.datapath.raw(found[0]) if found else None


@view
def chosen(logical_switch: LogicalSwitch, switch: str) -> str:
    """Return the name of the port that is bound to a logical switch on a physical switch.

    Arguments:
        logical_switch: the logical switch.
        switch: the name of the physical switch.
    """
    datapath = network(logical_switch)
    for port in candidates(logical_switch):
        if port.options.get(SWITCH) == switch and _PB.datapath.raw(port) == datapath:
            return port.logical_port
    return ""


def binding_rule(gateways: Gateways) -> Rule:
    """Return the rule that binds ports, and releases those that are no longer to be at a gateway.

    Arguments:
        gateways: the chassis.
    """

    def port_bound(port: sb.PortBinding) -> Iterator[Fact]:
        if port.type == "vtep":
            switch, name = port.options.get(SWITCH, ""), port.options.get(LOGICAL_SWITCH, "")
            logical_switch = find(LogicalSwitch.name, name) if gateway(switch) is not None else None
            if logical_switch is not None and switch in binding_switches(logical_switch):
                winner = chosen(logical_switch, switch)
                if winner == port.logical_port:
                    yield BOUND(port.uuid, gateways.chassis.uuid(switch), up=True)
                    return
                what = f"belongs to port {winner}" if winner else "is in another network"
                yield finding(port, f"port {port.logical_port}: it is not bound, since {name} on {switch} {what}")
            if gateway(switch) is not None:
                yield BOUND(port.uuid, None, up=False)
                return
        chassis = _PB.chassis.raw(port)
        if chassis is not None and is_gateway(chassis):
            yield BOUND(port.uuid, None, up=False)

    return rule(sb.PortBinding)(port_bound)
