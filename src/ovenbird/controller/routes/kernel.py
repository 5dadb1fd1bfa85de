"""The kernel's routing tables, by netlink(7): changes, the content of a table, and changes by other programs.

The kernel executes a request before `send` returns, so that its answer can be read at once. The socket's buffer for
notifications is bounded; if it overflows, the kernel reports that (ENOBUFS), and everything must be read again.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import select
import socket
from typing import TYPE_CHECKING

from ovenbird.net import rtnetlink
from ovenbird.net.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovenbird.net.rtnetlink import KernelRoute, NetlinkMessage

log = logging.getLogger(__name__)

_NETLINK_ROUTE, _SOL_NETLINK, _STRICT_CHECK = 0, 270, 12
_LINKS, _IPV4_ADDRESSES, _IPV4_ROUTES, _IPV6_ROUTES = 0x1, 0x10, 0x40, 0x400
_ANSWER = 1000
"""Milliseconds that the kernel may take to answer."""
_LARGEST = 1 << 17
_MEMORY = 1 << 22
"""Bytes of notifications that may wait; as much of it as the system allows."""
_AT_ONCE = 64
"""Datagrams that are read before others have their turn."""


class Kernel:
    """The routing tables of this network namespace.

    Arguments:
        on_message: is called with each message about routes, interfaces and addresses that others have caused.
        on_loss: is called when messages were lost.
    """

    def __init__(self, on_message: Callable[[NetlinkMessage], None], on_loss: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_loss = on_loss
        self._requests = _netlink(0)
        self._requests.setblocking(False)
        self._answered = select.poll()
        self._answered.register(self._requests, select.POLLIN)
        self._requests.setsockopt(_SOL_NETLINK, _STRICT_CHECK, 1)
        self._port = int(self._requests.getsockname()[0])
        self._news = _netlink(_LINKS | _IPV4_ADDRESSES | _IPV4_ROUTES | _IPV6_ROUTES)
        self._news.setblocking(False)
        self._news.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _MEMORY)
        asyncio.get_running_loop().add_reader(self._news.fileno(), self._read)

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._news.fileno())
        self._news.close()
        self._requests.close()

    # -- changes ------------------------------------------------------------------------------------------------------

    def add(self, route: KernelRoute) -> int:
        """Add a route; return the number of the error, 0 for success."""
        return self._request(rtnetlink.encode_route(rtnetlink.NEW_ROUTE, route))

    def delete(self, route: KernelRoute) -> int:
        """Delete a route; return the number of the error, 0 for success, also if it is not there."""
        error = self._request(rtnetlink.encode_route(rtnetlink.DEL_ROUTE, route))
        return 0 if error in (errno.ESRCH, errno.ENOENT) else error

    def make_vrf(self, name: str, *, table: int) -> int:
        """Make a VRF device, if there is none of that name; return the number of the error, 0 for success."""
        error = self._request(rtnetlink.encode_new_vrf(name, table))
        return 0 if error == errno.EEXIST else error

    def remove_vrf(self, name: str) -> int:
        """Remove a VRF device; return the number of the error, 0 for success, also if it is not there."""
        error = self._request(rtnetlink.encode_del_link(name))
        return 0 if error == errno.ENODEV else error

    def _request(self, request: bytes) -> int:
        """Have the kernel carry out a request; return the number of the error, 0 for success."""
        try:
            for message in self._answers(request):
                if message.kind == rtnetlink.ERROR:
                    return rtnetlink.decode_error(message.body)
        except TimeoutError:
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno or errno.EIO
        except PacketError:
            return errno.EBADMSG
        return errno.EBADMSG

    def _answers(self, request: bytes) -> Iterator[NetlinkMessage]:
        """Yield the answers to a request, without end.

        Raises:
            TimeoutError: the kernel does not answer.
            OSError: it refuses, or answers were lost.
            PacketError: an answer is malformed.
        """
        self._drain()
        self._requests.send(request)
        while True:
            if not self._answered.poll(_ANSWER):
                raise TimeoutError(errno.ETIMEDOUT, "the kernel does not answer")
            yield from rtnetlink.decode_messages(self._requests.recv(_LARGEST))

    def _drain(self) -> None:
        """Drop late answers to earlier requests, which were given up."""
        try:
            while self._requests.recv(_LARGEST):
                pass
        except BlockingIOError:
            pass

    # -- what is there ------------------------------------------------------------------------------------------------

    def routes(self, table: int) -> Iterator[list[KernelRoute]]:
        """Yield the routes of a table, a few hundred at a time; one that cannot be understood is left out.

        Raises:
            OSError: the kernel does not answer, or refuses.
            PacketError: an answer is malformed.
        """
        for family in (socket.AF_INET, socket.AF_INET6):
            found: list[KernelRoute] = []
            for message in self._answers(rtnetlink.encode_dump(family, table=table)):
                if message.kind == rtnetlink.NEW_ROUTE:
                    route = _understood(message.body)
                    if route is not None and route.table == table:
                        found.append(route)
                elif message.kind in (rtnetlink.DONE, rtnetlink.ERROR):
                    error = rtnetlink.decode_error(message.body)
                    if error not in (0, errno.ENOENT):  # a table without routes need not exist
                        raise OSError(error, "the routing table cannot be read")
                    break
                if len(found) >= _AT_ONCE:
                    yield found
                    found = []
            yield found

    def _read(self) -> None:
        """Pass on what others have changed, a part at a time."""
        for _ in range(_AT_ONCE):
            try:
                data = self._news.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                self._on_loss()
                return
            try:
                for message in rtnetlink.decode_messages(data):
                    if message.sender != self._port:
                        self._on_message(message)
            except PacketError:
                self._on_loss()
            except Exception:  # one message; those behind it have their turn, and all is read again
                log.exception("what the kernel says of its routes was not taken in")
                self._on_loss()


def _understood(body: bytes) -> KernelRoute | None:
    """Return the route that a message is about, if it is one of IP that can be understood."""
    try:
        return rtnetlink.decode_route(body)
    except PacketError as error:
        log.debug("a route of the kernel's is left out: %s", error)
        return None


def _netlink(groups: int) -> socket.socket:
    """Return a netlink socket for routing messages.

    Arguments:
        groups: a bit for each kind of notifications.
    """
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
    made.bind((0, groups))
    return made
