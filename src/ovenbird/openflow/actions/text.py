"""Actions as ovs-ofctl(8) writes them: those that the buckets of groups consist of."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ovenbird.openflow.actions.conntrack import Ct, Nat
from ovenbird.openflow.actions.modify import SetField
from ovenbird.openflow.actions.output import Port, Resubmit
from ovenbird.openflow.fields import Subfield

if TYPE_CHECKING:
    from ovenbird.openflow.actions.wire import Action


def action_text(action: Action) -> str:
    """Return an action as text; one of a kind that is not in groups is written as its bytes."""
    match action:
        case Ct():
            return f"ct({','.join(_ct(action))})"
        case Nat():
            return f"nat({_translation(action)})" if action.src or action.dst else "nat"
        case SetField():
            mask = f"/{action.mask:#x}" if action.mask != action.field.mask else ""
            return f"set_field:{action.value:#x}{mask}->{action.field.name}"
        case Resubmit():
            port = "" if action.in_port == Port.IN_PORT else str(action.in_port)
            table = "" if action.table == 255 else str(action.table)
            return f"resubmit({port},{table}{',ct' if action.ct else ''})"
        case _:
            return f"bytes:{action.encode().hex()}"


def actions_text(actions: tuple[Action, ...]) -> str:
    """Return a list of actions as text."""
    return ",".join([action_text(each) for each in actions]) or "drop"


def _ct(action: Ct) -> list[str]:
    """Return what stands between the parentheses of `ct`."""
    words = [word for word, holds in (("commit", action.commit), ("force", action.force)) if holds]
    if action.table is not None:
        words.append(f"table={action.table}")
    if action.zone:
        words.append(f"zone={_source(action.zone) if isinstance(action.zone, Subfield) else action.zone}")
    words += [action_text(each) for each in action.actions if isinstance(each, Nat)]
    rest = [action_text(each) for each in action.actions if not isinstance(each, Nat)]
    if rest:
        words.append(f"exec({','.join(rest)})")
    if action.alg:
        words.append(f"alg={({21: 'ftp', 69: 'tftp'}).get(action.alg, action.alg)}")
    return words


def _source(bits: Subfield) -> str:
    return f"NXM_NX_{bits.field.name.upper()}[{bits.ofs}..{bits.ofs + bits.n_bits - 1}]"


def _address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def _translation(nat: Nat) -> str:
    """Return what stands between the parentheses of `nat`."""
    low, high = (_address(each) if each else "" for each in (nat.addr_min, nat.addr_max))
    if len(nat.addr_min) == 16 and nat.port_min:
        low, high = f"[{low}]", f"[{high}]" if high else ""
    target = f"{low}-{high}" if high else low
    if nat.port_min:
        target += f":{nat.port_min}" + (f"-{nat.port_max}" if nat.port_max else "")
    flags = [name for name in ("persistent", "hash", "random") if getattr(nat, name)]
    side = "src" if nat.src else "dst"
    return ",".join([f"{side}={target}" if target else side, *flags])
