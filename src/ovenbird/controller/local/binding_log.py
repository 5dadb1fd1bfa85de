"""Log lines about ports: claims, releases, and when they are up, in the words of ovn-controller.

Lines follow the state of the databases, not attempts: a claim that was refused and made again is one line. The state
that a controller finds at its start is not logged.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ovenbird.model.sb import Chassis, PortBinding
from ovenbird.model.vswitch import Interface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.rows import Store
    from ovenbird.ovsdb.commit import Commit, RowChange

log = logging.getLogger("ovenbird.binding")

_CHASSIS, _ADDITIONAL, _UP = (
    column.index for column in (PortBinding.chassis, PortBinding.additional_chassis, PortBinding.up)
)
_NAME, _MAC = PortBinding.logical_port.index, PortBinding.mac.index


def report_bindings(store: Store, name: str, commit: Commit) -> None:
    """Log what a change of Southbound means for the ports of this chassis.

    Arguments:
        store: Southbound's rows, as they are after it.
        name: the chassis's.
        commit: the change.
    """
    changes = commit.changes.get(PortBinding.TABLE)
    me = store.find(Chassis.name, name) if changes else None
    for change in changes or () if me is not None else ():
        if change.old is None or not (change.new is None or {_CHASSIS, _ADDITIONAL, _UP} & set(change.columns)):
            continue
        for line in _lines(store, me, change.old, change.new):
            log.info("%s", line)


def _lines(store: Store, me: Any, old: list[Any], new: list[Any] | None) -> Iterator[str]:
    """Yield the log lines about a changed port."""
    port, was, now = old[_NAME], old[_CHASSIS], None if new is None else new[_CHASSIS]
    if now == me.uuid != was:
        before = store.table(Chassis).rows.get(was) if was else None
        if before is not None:
            yield f"Changing chassis for lport {port} from {before.name} to {me.name}."
        else:
            yield f"Claiming lport {port} for this chassis."
        for mac in sorted(_addresses(new)):
            yield f"{port}: Claiming {mac}"
    elif was == me.uuid != now:
        yield f"Releasing lport {port} from this chassis (sb_readonly=0)"
    held, holds = me.uuid in old[_ADDITIONAL], new is not None and me.uuid in new[_ADDITIONAL]
    if holds and not held:
        yield f"Claiming lport {port} for this additional chassis."
    elif held and not holds:
        yield f"Releasing lport {port} from this additional chassis."
    up = None if new is None else new[_UP]
    if now == me.uuid and up is True and old[_UP] is not True:
        yield f"Setting lport {port} up in Southbound"
    elif was == me.uuid and up is False and old[_UP] is True:
        yield f"Setting lport {port} down in Southbound"


def _addresses(new: list[Any] | None) -> frozenset[str]:
    return frozenset() if new is None else frozenset(new[_MAC])


def report_interfaces(commit: Commit) -> None:
    """Log the interfaces whose `ovn-installed` a change of Open_vSwitch sets or removes."""
    for change in commit.changes.get(Interface.TABLE, ()):
        if change.old is not None and change.new is not None and Interface.external_ids.index in change.columns:
            _report_interface(change)


def _report_interface(change: RowChange) -> None:
    at = Interface.external_ids.index
    old, new = (change.old or ())[at], (change.new or ())[at]
    was, now = old.get("ovn-installed") == "true", new.get("ovn-installed") == "true"
    if now and not was:
        log.info("Setting lport %s ovn-installed in OVS", new.get("iface-id", ""))
    elif was and not now:
        log.info("Removing lport %s ovn-installed in OVS", old.get("iface-id", ""))
