"""Binding: which ports this chassis claims, and when it sets them up.

A port is claimed when an interface of the integration bridge has its name (external_ids:iface-id), unless the port's
options request other chassis only; a chassis that the options list after the first claims it as an additional chassis.
The port is `up`, and its interface `ovn-installed`, once the claim is in the database, everything about its datapath
has been received, and the switch has confirmed the resulting flows. The column `up` belongs to the chassis that has
claimed the port.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.edits import EDIT, EDIT_AFTER_FLOWS, NOW, Change, keys, members, to
from ovenbird.controller.local.additional_chassis import claimed_encaps
from ovenbird.controller.local.gateway import HIGHLY_AVAILABLE, alive, candidates, is_candidate
from ovenbird.controller.local.local_data import (
    VIF,
    interface_of,
    is_additional,
    is_relevant,
    is_resident,
    may_bind,
    requested_chassis_rank,
)
from ovenbird.controller.local.local_store import Attachment, progress
from ovenbird.controller.local.notices import info, warning
from ovenbird.controller.local.settings import own_chassis, settings
from ovenbird.engine.lookups import find, get
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.model.sb import Chassis, PortBinding
from ovenbird.model.vswitch import Interface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID

CLAIMED_TYPES = (VIF, "l3gateway", "l2gateway", *HIGHLY_AVAILABLE)
"""The types of ports that a chassis claims; a localport is resident on every chassis."""


@view
def complete(datapath: UUID) -> bool:
    """Return whether all rows of a datapath have been received from Southbound."""
    state = progress()
    return state.everything or datapath in state.complete


@view
def encap_of(port: PortBinding) -> UUID | None:
    """Return the encap that the interface requests (external_ids:encap-ip), or none for the chassis's best."""
    uuid = interface_of(port.logical_port)
    interface = get(Interface, uuid) if uuid is not None else None
    ip = interface.external_ids.get("encap-ip", "") if interface is not None else ""
    me = own_chassis()
    row = get(Chassis, me) if ip and me is not None else None
    return next((e.uuid for e in row.encaps if e.ip == ip), None) if row is not None else None


@rule(PortBinding, when=is_relevant)
def claim(port: PortBinding) -> Iterator[Fact]:
    """Claim a resident port, and release a port that is no longer resident."""
    me = own_chassis()
    if port.type not in CLAIMED_TYPES or me is None or progress().stopping:
        return
    here, additional = is_resident(port), is_additional(port)
    encap = encap_of(port) if here else None
    changes: list[Change[PortBinding]] = []
    if here and not additional:
        if PortBinding.chassis.raw(port) != me:
            changes.append(to(PortBinding.chassis, me))
        if PortBinding.encap.raw(port) != encap:
            changes.append(to(PortBinding.encap, encap))
    elif PortBinding.chassis.raw(port) == me and progress().settled:  # or what it depends on may not have come yet
        changes += [to(PortBinding.chassis, None), to(PortBinding.encap, None), to(PortBinding.up, value=False)]
    held = me in PortBinding.additional_chassis.raw(port)
    if held != (here and additional) and (not held or progress().settled):
        changes.append(members(PortBinding.additional_chassis, (me, not held)))
    if moved := claimed_encaps(port, encap if additional else None):
        changes.append(members(PortBinding.additional_encap, *moved))
    if changes:
        yield EDIT(port, *changes, holder=PortBinding.chassis)


@rule(PortBinding, when=is_relevant)
def up(port: PortBinding) -> Iterator[Fact]:
    """Report that the switch has a claimed port's flows: `up` in Southbound, `ovn-installed` on the interface."""
    if port.type not in CLAIMED_TYPES or progress().stopping:
        return
    me = own_chassis()
    main = PortBinding.chassis.raw(port) == me
    if me is None or not (main or me in PortBinding.additional_chassis.raw(port)) or not is_resident(port):
        return
    if not complete(PortBinding.datapath.raw(port)):
        return
    if main and port.up is not True:
        yield EDIT_AFTER_FLOWS(port, to(PortBinding.up, value=True))
    uuid = interface_of(port.logical_port)
    interface = get(Interface, uuid) if uuid is not None else None
    if interface is not None and interface.external_ids.get("ovn-installed") != "true":
        installed_now = keys(Interface.external_ids, ("ovn-installed", "true"), ("ovn-installed-ts", NOW))
        yield EDIT_AFTER_FLOWS(interface, installed_now)


@rule(Attachment)
def unclaimed(row: Attachment) -> Iterator[Fact]:
    """Report why the port that an interface names is not claimed, or why a requested encap is not used."""
    interface = get(Interface, row.interface)
    if interface is None or own_chassis() is None:
        return
    found = _unclaimed(row.name, interface)
    if found is not None and progress().settled:
        yield found


def _unclaimed(name: str, interface: Interface) -> Fact | None:
    """Return why a port is not claimed, or why the encap that its interface requests is not used; None if all is well.

    Arguments:
        name: the logical port's.
        interface: names the port.
    """
    port = find(PortBinding.logical_port, name)
    if port is None:
        return info(f"interface {interface.name}: there is no lport {name} in Southbound")
    if port.type == VIF and requested_chassis_rank(port) is None:
        here, requested = settings().chassis, port.options["requested-chassis"]
        return info(f"Not claiming lport {name}, chassis {here} requested-chassis {requested}")
    if port.type == VIF and not may_bind(port):
        return info(f"Not claiming lport {name}: interface {interface.name} has another iface-id-ver than the port")
    if (ip := interface.external_ids.get("encap-ip", "")) and encap_of(port) is None:
        return warning(
            f"interface {interface.name}: encap-ip {ip} is not an address of this chassis; the default one is used"
        )
    return None


@rule(Interface)
def installed(interface: Interface) -> Iterator[Fact]:
    """Remove `ovn-installed` from an interface whose port this chassis has not claimed."""
    ids = interface.external_ids
    if "ovn-installed" not in ids:
        return
    port = find(PortBinding.logical_port, ids.get("iface-id", ""))
    me = own_chassis()
    gone = port is None or (port.type == VIF and me is not None and not is_resident(port))
    if gone and progress().settled:
        yield EDIT(interface, keys(Interface.external_ids, ("ovn-installed", None), ("ovn-installed-ts", None)))


@rule(PortBinding, when=is_relevant)
def cut_off(port: PortBinding) -> Iterator[Fact]:
    """Report that BFD is up with no other chassis, so that this one hosts nothing that others can host."""
    if port.type in HIGHLY_AVAILABLE and is_candidate(port) and len(candidates(port)) > 1 and not alive():
        yield warning("BFD receives nothing from any other chassis: this one hosts no gateways that others can host")
