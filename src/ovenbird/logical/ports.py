"""A logical switch port as features see it: its columns read once, its addresses parsed, its place known.

One rule runs for each port (``northd.switch_port``): it makes a ``SwitchPort`` and hands it to every feature, so that
a port costs one run and its columns are read once, however many features there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.lookups import find, get, rows, select
from ovenbird.engine.views import view
from ovenbird.logical.addresses import Addresses, link_local, parse_addresses, quote
from ovenbird.logical.tables import PORT_BINDING, datapath
from ovenbird.model import nb

if TYPE_CHECKING:
    from ovenbird.engine.rows import UUID

LSP = nb.LogicalSwitchPort


@view
def setting(name: str) -> str:
    """Return NB_Global's option of that name, or the empty string."""
    for row in rows(nb.NBGlobal):
        return row.options.get(name, "")
    return ""


@view
def switch_setting(switch: nb.LogicalSwitch, name: str) -> str:
    """Return the switch's `other_config` of that name, or the empty string."""
    return switch.other_config.get(name, "")


@view
def router_port(name: str) -> tuple[UUID, Addresses] | None:
    """Return a logical router port's UUID and its addresses, link-local one included; None if there is none."""
    lrp = find(nb.LogicalRouterPort.name, name)
    if lrp is None:
        return None
    parsed = parse_addresses(" ".join([lrp.mac, *sorted(lrp.networks)]))
    if parsed is None:
        return None
    return lrp.uuid, parsed._replace(ipv6=(*parsed.ipv6, link_local(parsed.mac)))


class SwitchPort:
    """One logical switch port.

    Attributes:
        lsp: the Northbound row.
        switch: the switch it belongs to.
        name: the port's name; `quoted` is the same as a constant in a match.
        type: the kind of port, empty for an instance's interface.
        enabled: whether the cloud lets it take part.
        datapath: UUID of the switch's datapath binding; `binding` that of the port's own.
        addresses: the entries of the `addresses` column that name a MAC, a router's if it says so.
        unknown: whether the port takes what is for unknown addresses.
        options: the `options` column.
    """

    __slots__ = (
        "addresses", "binding", "datapath", "enabled", "hint", "lsp", "name", "options", "quoted", "switch", "type",
        "unknown",
    )  # fmt: skip

    def __init__(self, lsp: nb.LogicalSwitchPort, switch: nb.LogicalSwitch) -> None:
        self.lsp = lsp
        self.switch = switch
        self.name = lsp.name
        self.quoted = quote(self.name)
        self.type = lsp.type
        self.enabled = lsp.enabled is not False
        self.hint = lsp.uuid
        self.datapath = datapath(switch)
        self.binding = PORT_BINDING.uuid(self.name, self.datapath)
        self.options = lsp.options
        self.unknown = False
        self.addresses: list[Addresses] = []
        for text in sorted(lsp.addresses):
            if text == "unknown":
                self.unknown = True
                continue
            parsed = self._read(text)
            if parsed is not None:
                self.addresses.append(parsed)

    def _read(self, text: str) -> Addresses | None:
        if text == "router":
            peer = router_port(self.options.get("router-port", ""))
            return peer[1] if peer is not None else None
        if "dynamic" in text:
            given = self.lsp.dynamic_addresses
            return parse_addresses(given) if given is not None else None
        return parse_addresses(text.removeprefix("!"))


@view
def ports_of_type(kind: str) -> dict[UUID, tuple[UUID, ...]]:
    """Return, for each switch, the ports of a type that few ports have."""
    found: dict[UUID, tuple[UUID, ...]] = {}
    for lsp in select(LSP.type, kind):
        switch = lsp.referrer(nb.LogicalSwitch.ports)
        if switch is not None:
            found[switch.uuid] = (*found.get(switch.uuid, ()), lsp.uuid)
    return found


@view
def switch_ports_of_type(switch: nb.LogicalSwitch, kind: str) -> tuple[UUID, ...]:
    """Return the switch's ports of a type that few ports have (`localnet`, `router`)."""
    return ports_of_type(kind).get(switch.uuid, ())


def port_rows(uuids: tuple[UUID, ...]) -> list[nb.LogicalSwitchPort]:
    """Return the ports with those UUIDs that are still there."""
    return [lsp for uuid in uuids if (lsp := get(LSP, uuid)) is not None]


@view
def router_peers() -> dict[str, str]:
    """Return, for each router port that a switch port names, that switch port's name."""
    return {
        peer: lsp.name
        for lsp in select(LSP.type, "router")
        if (peer := lsp.options.get("router-port")) and lsp.referrer(nb.LogicalSwitch.ports) is not None
    }


@view
def router_peer(name: str) -> str | None:
    """Return the name of the switch port that a router port is joined to, or None."""
    return router_peers().get(name)

