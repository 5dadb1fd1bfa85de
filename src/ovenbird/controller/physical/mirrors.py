"""Mirrors of ports on this chassis: rows of Mirror of the integration bridge, each with a tunnel to its sink.

ovn-nb(5), Mirror; ovs-vswitchd.conf.db(5), Mirror. As in OVN, the row has the mirror's name and
`external_ids:ovn-owned`, and its tunnel is the port `ovn-<mirror>`: GRE with the mirror's index as its key, or ERSPAN
version 1 with the index as key and index. A mirror exists while one of its ports is on this chassis. From releases
after 23.03, the filter `both` is supported, and the type `local`, whose sink is an interface with this
`external_ids:mirror-id`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.edits import EDIT, EditRelation, keys, members, to
from ovenbird.controller.local.local_data import interface_of
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.settings import integration_bridge
from ovenbird.engine.computed_index import ComputedIndex
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import Mirror, PortBinding
from ovenbird.model.vswitch import Bridge, Interface, Port
from ovenbird.model.vswitch import Mirror as SwitchMirror
from ovenbird.net.ip import is_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.ovsdb.transaction import Transaction

OWNED = "ovn-owned"
"""The key of Mirror.external_ids that marks the rows of a controller."""

TUNNELS = ("gre", "ip6gre", "erspan", "ip6erspan")
"""The types of the tunnel interfaces that are made for mirrors."""

SINK = "mirror-id"
"""The key of Interface.external_ids that names the sink of a local mirror."""

Pairs = tuple[tuple[str, str], ...]

_SINKS = ComputedIndex(
    Interface.external_ids,
    keys=lambda values: (sink,) if (sink := values[Interface.external_ids.index].get(SINK)) else (),
)
"""The interfaces that are sinks, by the sink's name."""


class Tunnel(NamedTuple):
    """A tunnel to a sink: the name of its port, its type and options."""

    name: str
    kind: str
    options: Pairs


class MirrorSpec(NamedTuple):
    """The intended mirror, with ports of Open vSwitch; copies are sent to a tunnel, or to a port of this chassis."""

    sources: frozenset[UUID]
    targets: frozenset[UUID]
    tunnel: Tunnel | None
    output: UUID | None


@view
def switch_port(port: PortBinding) -> UUID | None:
    """Return the integration bridge's port of a logical port; None if it is not on this chassis."""
    uuid = interface_of(port.logical_port)
    interface = get(Interface, uuid) if uuid is not None else None
    found = interface.referrer(Port.interfaces) if interface is not None else None
    return found.uuid if found is not None else None


@view
def wanted(mirror: Mirror) -> MirrorSpec | None:
    """Return the intended mirror on this chassis; None if it has no ports here, or is invalid."""
    ports = frozenset(uuid for each in mirror.referrers(PortBinding.mirror_rules) if (uuid := switch_port(each)))
    tunnel = _tunnel(mirror)
    output = _sink(mirror.sink) if mirror.type == "local" else None
    if not ports or (tunnel is None and output is None):
        return None
    none: frozenset[UUID] = frozenset()
    sources = ports if mirror.filter in ("from-lport", "both") else none
    targets = ports if mirror.filter in ("to-lport", "both") else none
    return MirrorSpec(sources=sources, targets=targets, tunnel=tunnel, output=output)


def _tunnel(mirror: Mirror) -> Tunnel | None:
    """Return the tunnel to a mirror's sink; None if the sink is not an address."""
    if mirror.type == "local" or not is_address(mirror.sink):
        return None
    options = {"remote_ip": mirror.sink, "key": str(mirror.index)}
    kind = "ip6gre" if mirror.type == "gre" and ":" in mirror.sink else mirror.type
    if mirror.type == "erspan":
        options |= {"erspan_idx": str(mirror.index), "erspan_ver": "1"}
        kind = "ip6erspan" if ":" in mirror.sink else kind
    return Tunnel(name=f"ovn-{mirror.name}", kind=kind, options=tuple(sorted(options.items())))


def _sink(name: str) -> UUID | None:
    """Return the port of the integration bridge whose interface is a sink."""
    bridge = integration_bridge()
    for interface in _SINKS.rows(name):
        for port in interface.referrers(Port.interfaces):
            if bridge is not None and bridge in port.referrers(Bridge.ports):
                found: UUID = port.uuid
                return found
    return None


class NewMirror(NamedTuple):
    """A mirror to insert, with its tunnel."""

    relation: EditRelation[..., Any]
    bridge: UUID
    name: str
    mirror: MirrorSpec

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return SwitchMirror

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the new mirror {self.name}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Insert the mirror, unless the bridge is gone; an existing tunnel of the same name is used.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        bridge = store.table(Bridge).rows.get(self.bridge)
        if bridge is None:
            return
        sources, targets, tunnel, output = self.mirror
        if tunnel is not None:
            there = store.find(Port.name, tunnel.name)
            output = there.uuid if there is not None else None
        if tunnel is not None and output is None:
            values = {"name": tunnel.name, "type": tunnel.kind, "options": dict(tunnel.options)}
            interface = transaction.insert(Interface, values)
            output = transaction.insert(Port, {"name": tunnel.name, "interfaces": frozenset([interface])})
            transaction.mutate(bridge, "ports", insert=[output])
        content = {
            "name": self.name, "output_port": output, "external_ids": {OWNED: "true"}, "select_src_port": sources,
            "select_dst_port": targets,
        }  # fmt: skip
        transaction.mutate(bridge, "mirrors", insert=[transaction.insert(SwitchMirror, content)])


class SurplusMirror(NamedTuple):
    """A mirror to remove, with its own tunnel."""

    relation: EditRelation[..., Any]
    bridge: UUID
    mirror: UUID

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return SwitchMirror

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the removal of mirror {self.mirror}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Remove the mirror and its tunnel from the bridge.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        bridge, mirror = store.table(Bridge).rows.get(self.bridge), store.table(SwitchMirror).rows.get(self.mirror)
        if bridge is None or mirror is None:
            return
        transaction.mutate(bridge, "mirrors", delete=[mirror.uuid])
        tunnel = store.find(Port.name, f"ovn-{mirror['name']}")
        interfaces = store.table(Interface).rows
        kinds = (
            [interfaces[uuid]["type"] for uuid in tunnel["interfaces"] if uuid in interfaces]
            if tunnel is not None
            else []
        )
        if tunnel is not None and all(kind in TUNNELS for kind in kinds):  # a tunnel to a chassis may have this name
            transaction.mutate(bridge, "ports", delete=[tunnel.uuid])


NEW_MIRROR = EditRelation("mirror to make", NewMirror)
DROP_MIRROR = EditRelation("mirror to remove", SurplusMirror)


@view
def mirrors_here() -> dict[str, UUID]:
    """Return the integration bridge's mirrors that controllers have made, by name."""
    bridge = integration_bridge()
    there = bridge.mirrors if bridge is not None else ()
    return {each.name: each.uuid for each in there if each.external_ids.get(OWNED) == "true"}


@rule(Mirror)
def mirrors(mirror: Mirror) -> Iterator[Fact]:
    """Yield the changes that make a mirror of ports on this chassis equal to the intended one."""
    bridge, want = integration_bridge(), wanted(mirror)
    if bridge is None or progress().stopping:
        return
    if mirror.type != "local" and not is_address(mirror.sink):
        yield warning(f"mirror {mirror.name}: {mirror.sink!r} is not an IP address, and nothing is copied")
    if want is None:
        return
    uuid = mirrors_here().get(mirror.name)
    there = get(SwitchMirror, uuid) if uuid is not None else None
    if want.tunnel is not None and (taken := find(Port.name, want.tunnel.name)) is not None and not _is_tunnel(taken):
        yield warning(f"mirror {mirror.name}: {want.tunnel.name} is a port of another kind, and nothing is copied")
    elif there is None:
        yield NEW_MIRROR(bridge=bridge.uuid, name=mirror.name, mirror=want)
    else:
        yield from _differences(bridge, there, want)


def _is_tunnel(port: Port) -> bool:
    return all(each.type in TUNNELS for each in port.interfaces)


def _differences(bridge: Bridge, there: SwitchMirror, want: MirrorSpec) -> Iterator[Fact]:
    """Yield the changes from an existing mirror to the intended one."""
    for column, ports in ((SwitchMirror.select_src_port, want.sources), (SwitchMirror.select_dst_port, want.targets)):
        found: frozenset[UUID] = column.raw(there)
        if found != ports:
            changed = [(uuid, uuid in ports) for uuid in sorted(found ^ ports)]
            yield EDIT(there, members(column, *changed))
    output = there.output_port
    if want.tunnel is None:
        if output is not None and output.name == f"ovn-{there.name}" and _is_tunnel(output):
            yield DROP_MIRROR(bridge=bridge.uuid, mirror=there.uuid)  # with its tunnel; then it is inserted again
        elif SwitchMirror.output_port.raw(there) != want.output:
            yield EDIT(there, to(SwitchMirror.output_port, want.output))
    elif output is None or output.name != want.tunnel.name:
        yield DROP_MIRROR(bridge=bridge.uuid, mirror=there.uuid)  # then it is inserted again
    else:
        yield from _changed_tunnel(output, want.tunnel)


def _changed_tunnel(port: Port, tunnel: Tunnel) -> Iterator[Fact]:
    options = dict(tunnel.options)
    for interface in port.interfaces:
        changes = [to(Interface.type, tunnel.kind)] if interface.type != tunnel.kind else []
        there = interface.options
        if there != options:
            names = sorted(there.keys() | options.keys())
            changes.append(keys(Interface.options, *[(name, options.get(name)) for name in names]))
        if changes:
            yield EDIT(interface, *changes)


@rule(SwitchMirror)
def stale_mirror(mirror: SwitchMirror) -> Iterator[Fact]:
    """Remove a mirror that has no ports on this chassis any more."""
    bridge, name = integration_bridge(), mirror.name
    if bridge is None or progress().stopping or mirrors_here().get(name) != mirror.uuid:
        return
    found = find(Mirror.name, name)
    if (found is None or wanted(found) is None) and progress().settled:
        yield DROP_MIRROR(bridge=bridge.uuid, mirror=mirror.uuid)
