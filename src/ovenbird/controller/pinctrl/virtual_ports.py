"""Virtual ports whose parents have announced their address: `bind_vport` (ovn-sb(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.packet_registers import register
from ovenbird.dataclass import dataclass
from ovenbird.lang.actions.userdata import Userdata
from ovenbird.model.sb import PortBinding
from ovenbird.model.southbound_lookup import port_by_keys
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from ovenbird.engine.rows import Store
    from ovenbird.openflow.messages import PacketIn
    from ovenbird.ovsdb.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A parent that announced a virtual port's address, both by key."""

    datapath: int
    virtual: int
    parent: int
    heard_by_many: bool = False


def spoken(packet_in: PacketIn) -> Spoken:
    """Return which parent announced which virtual port's address.

    Raises:
        PacketError: the flow names none.
    """
    payload = Userdata.decode(packet_in.userdata).payload
    datapath, parent = register(packet_in, "metadata"), register(packet_in, "reg14")
    if len(payload) < 4 or not datapath or not parent:
        raise PacketError("a virtual port's announcement without port or parent")
    return Spoken(datapath=datapath, virtual=int.from_bytes(payload[:4], "big"), parent=parent)


def stage_spoken(store: Store, transaction: Transaction, what: Spoken) -> None:
    """Claim a virtual port for the chassis of its parent, unless it is claimed there.

    Arguments:
        store: Southbound's.
        transaction: on it.
        what: the virtual port, and its parent.
    """
    port = port_by_keys(store, datapath=what.datapath, port=what.virtual)
    parent = port_by_keys(store, datapath=what.datapath, port=what.parent)
    if port is None or parent is None or port.type != "virtual":
        return
    chassis, name = PortBinding.chassis.raw(parent), parent.logical_port
    if chassis is None or (PortBinding.chassis.raw(port), port.virtual_parent) == (chassis, name):
        return
    transaction.update(port, {"chassis": chassis, "virtual_parent": name})
