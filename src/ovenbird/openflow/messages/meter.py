"""Messages about the meters in the switch (OpenFlow 1.5.1, section 7.3.5.15)."""

from __future__ import annotations

import struct
from typing import Self

from ovenbird.dataclass import dataclass
from ovenbird.openflow.errors import DecodeError
from ovenbird.openflow.messages.group import ALL_METERS, MeterFlag
from ovenbird.openflow.messages.wire import entries, frame, frame_multipart, multipart_reply, multipart_request

_HEAD = struct.Struct(">HHI")
_BAND = struct.Struct(">HHII4x")
_DROP = 1


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """One meter in the switch; `bands` are the (rate, burst), in the flags' unit, of its drop bands."""

    meter_id: int
    flags: MeterFlag
    bands: tuple[tuple[int, int], ...]


@multipart_request(10)
@dataclass(frozen=True, slots=True)
class MeterConfigRequest:
    """Request one meter, or all of them."""

    meter_id: int = ALL_METERS

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_METER_CONFIG."""
        return frame_multipart(10, xid=xid, body=struct.pack(">I4x", self.meter_id))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body."""
        return cls(struct.unpack_from(">I", body)[0])


@multipart_reply(10)
@dataclass(frozen=True, slots=True)
class MeterConfigReply:
    """Meters of the switch; `more` is true if another part of the reply follows."""

    meters: tuple[MeterConfig, ...]
    more: bool = False

    def encode(self, xid: int = 0) -> bytes:
        """Encode as OFPMP_METER_CONFIG's reply."""
        out = struct.pack(">HH4x", 10, self.more)
        for meter in self.meters:
            bands = b"".join(_BAND.pack(_DROP, _BAND.size, rate, burst) for rate, burst in meter.bands)
            out += _HEAD.pack(_HEAD.size + len(bands), meter.flags, meter.meter_id) + bands
        return frame(19, xid=xid, body=out)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Decode the body, from the flags on; bands that do not drop are skipped.

        Raises:
            DecodeError: a meter is malformed.
        """
        meters = []
        for entry in entries(body, "meter", shortest=_HEAD.size):
            length, flags, meter_id = _HEAD.unpack_from(entry)
            if length % 8:
                raise DecodeError(f"meter of {length} bytes")
            bands = _BAND.iter_unpack(entry[_HEAD.size :])
            drops = tuple([(rate, burst) for kind, _, rate, burst in bands if kind == _DROP])
            meters.append(MeterConfig(meter_id, MeterFlag(flags), drops))
        return cls(tuple(meters), bool(body[1] & 1))
