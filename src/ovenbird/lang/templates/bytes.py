"""Templates of bytes: encodings with slots for a few values.

A chassis receives tens of thousands of logical flows, whose texts differ mostly in addresses and ports: there are a few
dozen forms. Encoding a form once and filling in the values is ten times as fast as encoding each flow.

A match's template is its OpenFlow match, with the datapath in `metadata` as slot 0. Fields have fixed widths, so values
change neither length nor order.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.openflow.fields import FIELDS
from ovenbird.openflow.match import encode_oxm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ovenbird.openflow.match import Match

_METADATA = FIELDS["metadata"].mask
_PADDING = [b"\0" * (-n % 8) for n in range(8)]
_UNFIT = frozenset(("metadata", "conj_id", "vlan_tci"))
"""Fields that a template cannot hold: the caller fills them or encodes the match as a whole."""


class ByteTemplate(NamedTuple):
    """Bytes with slots: `form % picked(values)` puts the values that `picked` selects into them."""

    form: bytes
    picked: Callable[[Sequence[bytes]], Any]

    def filled(self, values: Sequence[bytes]) -> bytes:
        """Return the bytes with these values in the slots."""
        filled: bytes = self.form % self.picked(values)
        return filled


class MatchTemplate(NamedTuple):
    """A match's bytes; `ports` gives the slot (0: none) and the fixed value of each exactly matched port register."""

    form: bytes
    picked: Callable[[Sequence[bytes]], Any]
    ports: dict[str, tuple[int, int]]

    def filled(self, values: Sequence[bytes]) -> bytes:
        """Return the match with these values in the slots; the first is the datapath's key, of 8 bytes."""
        filled: bytes = self.form % self.picked(values)
        return filled

    def port(self, register: str, values: Sequence[bytes]) -> int | None:
        """Return the value that the match requires in a port register; None if it does not match the whole register."""
        found = self.ports.get(register)
        if found is None:
            return None
        slot, number = found
        return int.from_bytes(values[slot], "big") if slot else number


def escaped(data: bytes) -> bytes:
    """Return bytes with `%` escaped, so that a form reproduces them literally."""
    return data.replace(b"%", b"%%")


def match_template(match: Match, slots: Mapping[str, int]) -> MatchTemplate | None:
    """Return a match with slots for the values of some fields.

    Arguments:
        match: the match; of fields with a slot only the mask matters, not the value.
        slots: the number of each such field's slot, from 1.

    Returns:
        The template; None for a match that must be encoded as a whole.
    """
    if not _UNFIT.isdisjoint(match) or any(FIELDS[name].variable for name in match):
        return None
    form, picked = fields_template({**match, "metadata": (0, _METADATA)}, {**slots, "metadata": 0})
    ports = {
        name: (slots.get(name, 0), match[name][0])
        for name in ("reg14", "reg15")
        if name in match and match[name][1] == FIELDS[name].mask
    }
    return MatchTemplate(form, picked, ports)


def fields_template(fields: Mapping[str, tuple[int, int]], slots: Mapping[str, int]) -> ByteTemplate:
    """Return the encoded match on some fields, of fixed widths, with slots for the values of some of them.

    Arguments:
        fields: value and mask by name; the values of those with a slot do not matter, but must be within their masks.
        slots: the number of the slot of each field that has one; several may have the same.
    """
    length, form, picks = 4, b"", []
    for name in sorted(fields, key=lambda name: FIELDS[name].rank):
        field = FIELDS[name]
        entry = encode_oxm({name: fields[name]})
        length += len(entry)
        slot = slots.get(name)
        if slot is None:
            form += escaped(entry)
            continue
        start = len(field.header if fields[name][1] == field.mask else field.masked_header)
        form += escaped(entry[:start]) + b"%b" + escaped(entry[start + field.n_bytes :])
        picks.append(slot)
    form = escaped((0x10000 | length).to_bytes(4, "big")) + form + _PADDING[length & 7]
    return ByteTemplate(form, itemgetter(*picks))
