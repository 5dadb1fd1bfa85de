"""Packets of the controller's own: how they enter the switch as if they came from a logical port."""

from ovenbird.lang.actions.layout import FlagBit, Tables
from ovenbird.openflow.actions import Resubmit, SetField, encode_actions

_INGRESS = Resubmit(Tables().ingress)
_LOCAL_ONLY = SetField.bits(FlagBit.LOCAL_ONLY.bits, 1)


def entering(datapath: int, port: int, *, local: bool = False) -> bytes:
    """Return the actions that let a packet enter a datapath as if it came from a port.

    Arguments:
        datapath: its tunnel key.
        port: its tunnel key.
        local: whether the packet stays on this chassis.
    """
    where = (SetField.of("metadata", datapath), SetField.of("reg14", port))
    return encode_actions((*where, _LOCAL_ONLY, _INGRESS) if local else (*where, _INGRESS))
