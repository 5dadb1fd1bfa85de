"""Activation of migrated instances by RARP (ovn-nb(5), `activation-strategy`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.local.additional_chassis import ACTIVATED
from ovenbird.controller.packet_registers import register
from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.userdata import Userdata
from ovenbird.model.southbound_lookup import port_by_keys
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import PacketIn
    from ovenbird.ovsdb.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Activated:
    """A port, by key, whose RARP was received on a chassis, by name."""

    datapath: int
    port: int
    chassis: str
    heard_by_many: bool = False


def activated(packet_in: PacketIn) -> Activated:
    """Parse the packet-in of an activation.

    Raises:
        PacketError: the flow does not say.
    """
    chassis = Userdata.decode(packet_in.userdata).payload.rstrip(b"\0").decode(errors="replace")
    datapath, port = register(packet_in, "metadata"), register(packet_in, "reg14")
    if not chassis or not datapath or not port:
        raise PacketError("an activation without chassis or port")
    return Activated(datapath=datapath, port=port, chassis=chassis)


def stage_activated(store: Store, transaction: Transaction, what: Activated) -> None:
    """Record on which chassis a port was activated, unless that is recorded already.

    Arguments:
        store: Southbound's.
        transaction: on it.
        what: the port and the chassis.
    """
    port = port_by_keys(store, datapath=what.datapath, port=what.port)
    if port is None:
        return
    names = [name for name in port.options.get(ACTIVATED, "").split(",") if name]
    if what.chassis not in names:
        told = {ACTIVATED: ",".join([*names, what.chassis])}
        transaction.wait(port, {"options": port.options})  # another chassis may say the same of itself
        transaction.mutate(port, "options", delete=[ACTIVATED], insert=told)
