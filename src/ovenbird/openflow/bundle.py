"""A bundle: changes that the switch makes all at once or not at all (OpenFlow 1.5.1, section 7.3.9).

The switch collects and checks changes while the sender computes further ones, so `commit` costs only the changes
themselves. Open vSwitch discards a bundle to which nothing is added for 10 seconds (`bundle-idle-timeout`); `commit`
then raises. Any exception ends the bundle, and the switch is unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.openflow.errors import EncodeError, SwitchError
from ovenbird.openflow.messages import BundleControl, BundleControlType, encode_bundle_add, encode_flow_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovenbird.openflow.messages import Error, FlowChange, Message
    from ovenbird.openflow.transport import OpenFlowSession

FIRST = 0x80000000
"""The transaction id of a bundle's first change. Other messages may be sent between changes; their ids are smaller."""


class Bundle:
    """A bundle; `Session.open_bundle` makes it.

    Arguments:
        session: the session to the switch.
        number: the bundle's id.
        xid: the transaction id of the request that opens it.
        flags: `ATOMIC`, `ORDERED` or both.
    """

    def __init__(self, session: OpenFlowSession, *, number: int, xid: int, flags: int) -> None:
        self.errors: dict[int, Error] = {}
        self._session = session
        self._number = number
        self._xid = xid
        self._flags = flags
        self._next = FIRST

    def concerns(self, xid: int) -> bool:
        """Return whether an error with this transaction id concerns the bundle."""
        return xid >= FIRST or xid == self._xid

    @property
    def forgotten(self) -> bool:
        """Whether the switch has discarded the bundle because nothing was added for too long."""
        return self._xid in self.errors

    async def open(self) -> None:
        """Open the bundle in the switch."""
        await self._control(BundleControlType.OPEN_REQUEST, self._xid)

    async def add(self, messages: Sequence[Message]) -> None:
        """Add changes.

        Raises `EncodeError` for a message without an encoding, and `ConnectionLostError`.
        """
        first, self._next = self._next, self._next + len(messages)
        await self._write(
            encode_bundle_add(self._number, message.encode(xid), xid=xid, flags=self._flags)
            for xid, message in enumerate(messages, first)
        )

    async def add_flows(self, changes: Sequence[FlowChange]) -> None:
        """Add changes of flows, as `add` does."""
        first, self._next = self._next, self._next + len(changes)
        number, flags = self._number, self._flags
        await self._write(
            encode_flow_change(number, change, xid=xid, flags=flags) for xid, change in enumerate(changes, first)
        )

    async def commit(self) -> None:
        """Commit the bundle: the switch makes the changes.

        Raises `SwitchError` with the switch's reason, and as `index` the position of the refused change among all
        added changes; `ConnectionLostError`.
        """
        try:
            await self._control(BundleControlType.CLOSE_REQUEST)
            if self.errors:
                await self._control(BundleControlType.DISCARD_REQUEST)
                self._raise_first()
            try:
                await self._control(BundleControlType.COMMIT_REQUEST)
            except SwitchError:
                if self.errors:
                    self._raise_first()
                raise
        finally:
            self._session.end_bundle()

    async def _write(self, frames: Iterable[bytes]) -> None:
        try:
            await self._session.write(frames)
        except EncodeError:
            try:
                await self._control(BundleControlType.DISCARD_REQUEST)
            finally:
                self._session.end_bundle()
            raise
        except BaseException:
            self._session.end_bundle()
            raise

    def _raise_first(self) -> None:
        xid, error = next(iter(self.errors.items()))
        refusal = error.exception(xid)
        if xid >= FIRST:
            refusal.index = xid - FIRST
        raise refusal

    async def _control(self, control: BundleControlType, xid: int | None = None) -> None:
        await self._session.request(BundleControl(self._number, control, self._flags), xid)
