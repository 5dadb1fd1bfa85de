"""A packet's logical metadata in tunnels between chassis (ovn-architecture(7), "Tunnel Encapsulations").

Geneve carries the datapath's key as VNI and one option (class 0x0102, type 0x80, 4 bytes): the ingress port's key in
the upper half, the key of the egress port or multicast group in the lower. VXLAN has the 24 bits of its VNI only: 12
for the datapath, 12 for the egress port, of which the highest marks a multicast group. Tunnels to and from VTEP
gateways have the datapath's key alone as VNI: a gateway is one port of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.openflow.actions import CopyField, SetField
from ovenbird.openflow.fields import Subfield
from ovenbird.openflow.messages import TlvMap

if TYPE_CHECKING:
    from ovenbird.openflow.actions import Action

GENEVE_OPTION = TlvMap(option_class=0x0102, option_type=0x80, length=4, index=0)
"""The Geneve option, as the switch's field tun_metadata0."""

MULTICAST = 0x8000
"""The lowest tunnel key of multicast groups; ports' keys are below."""

_VXLAN_MULTICAST = 0x800

_bits = Subfield.of
_EGRESS_OPTION, _INGRESS_OPTION = _bits("tun_metadata0", ofs=0, n_bits=16), _bits("tun_metadata0", ofs=16, n_bits=15)

NETWORK_IN = CopyField(src=_bits("tun_id", ofs=0, n_bits=24), dst=_bits("metadata", ofs=0, n_bits=24))
"""The action that restores a packet's datapath where the VNI is its key."""

GENEVE_IN = (
    NETWORK_IN,
    CopyField(src=_INGRESS_OPTION, dst=_bits("reg14", ofs=0, n_bits=15)),
    CopyField(src=_EGRESS_OPTION, dst=_bits("reg15", ofs=0, n_bits=16)),
)
"""Actions that restore a packet's logical metadata from a Geneve tunnel."""

VXLAN_IN = (
    CopyField(src=_bits("tun_id", ofs=0, n_bits=12), dst=_bits("metadata", ofs=0, n_bits=12)),
    CopyField(src=_bits("tun_id", ofs=12, n_bits=12), dst=_bits("reg15", ofs=0, n_bits=12)),
)
"""The same for a VXLAN tunnel, for a packet to a port."""

VXLAN_MULTICAST_IN = (
    CopyField(src=_bits("tun_id", ofs=0, n_bits=12), dst=_bits("metadata", ofs=0, n_bits=12)),
    CopyField(src=_bits("tun_id", ofs=12, n_bits=11), dst=_bits("reg15", ofs=0, n_bits=11)),
    SetField.of("reg15", MULTICAST, mask=MULTICAST),
)
"""The same for a packet to a multicast group."""

VXLAN_MULTICAST_BIT = 1 << 23


def to_gateway(datapath: int) -> tuple[Action, ...]:
    """Return the actions that store a packet's network in the VNI, for a VTEP gateway.

    Arguments:
        datapath: the datapath's key.
    """
    return (SetField.of("tun_id", datapath, mask=0xFFFFFF),)


def outward(encapsulation: str, *, datapath: int, key: int) -> tuple[Action, ...]:
    """Return the actions that store a packet's logical metadata in a tunnel's fields.

    Arguments:
        encapsulation: `geneve` or `vxlan`.
        datapath: the datapath's key.
        key: the key of the egress port or multicast group.
    """
    if encapsulation == "vxlan":
        wire = key & 0x7FF | _VXLAN_MULTICAST if key & MULTICAST else key & 0xFFF
        return (SetField.of("tun_id", wire << 12 | datapath & 0xFFF, mask=0xFFFFFF),)
    return (
        SetField.of("tun_id", datapath, mask=0xFFFFFF),
        SetField.of("tun_metadata0", key, mask=0xFFFFFFFF),
        CopyField(src=_bits("reg14", ofs=0, n_bits=15), dst=_INGRESS_OPTION),
    )
