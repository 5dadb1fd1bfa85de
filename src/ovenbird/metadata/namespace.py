"""Network namespaces, veth pairs and addresses of localports, made with iproute2 (ip-netns(8), ip-link(8)).

A network has the namespace `ovnmeta-<network>` and a veth pair: `tap<network[:10]>0` in the bridge's namespace and
`tap<network[:10]>1` inside; the pair is called the network's *cable*. Every step is idempotent: existing devices and
addresses that are as wanted are not changed, and those that a crash left incomplete are completed or removed. No state
is stored; it is read from the kernel.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from ovenbird.metadata.errors import PlumbingError
from ovenbird.metadata.network import DEVICE, outer_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ovenbird.metadata.network import Network

T = TypeVar("T")

ADDRESS = "169.254.169.254"
"""The address of the service over IPv4 (EC2's)."""

ADDRESS6 = "fe80::a9fe:a9fe"
"""The address of the service over IPv6 (Nova's)."""

DIRECTORY = Path("/run/netns")
"""The directory in which iproute2 keeps the names of namespaces."""

_CLONE_NEWNET = 0x40000000  # setns(2)
_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17  # linux/sockios.h, linux/ethtool.h
_RTMGRP_LINK, _RTM_DELLINK = 1, 17  # linux/rtnetlink.h
_BACKLOG = 128
_TIMEOUT = 30.0

_libc = ctypes.CDLL(None, use_errno=True)


def inside(path: Path, work: Callable[[], T]) -> T:
    """Call a function within a network namespace, and return its result.

    The call is made in a new thread, which enters the namespace and then ends, so that no other code ever runs inside.
    A socket stays in the namespace in which it was opened. The function must be short: the caller waits for it.

    Raises:
        OSError: the namespace cannot be entered; any exception of `work` is raised too.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def enter() -> None:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(fd, _CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number), str(path))
            finally:
                os.close(fd)
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            failure.append(error)

    thread = threading.Thread(target=enter, name=f"inside {path.name}")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def _ip(*arguments: str, lines: Sequence[str] = ()) -> str:
    """Run `ip`; if there are lines, as a batch.

    Raises:
        PlumbingError: `ip` failed.
    """
    argv = ("ip", *arguments, *(("-batch", "-") if lines else ()))
    text = "".join(f"{line}\n" for line in lines)
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PlumbingError(f"`{' '.join(argv)}`: {error}") from error
    if done.returncode:
        raise PlumbingError(f"`{' '.join((*argv, *lines))}` failed: {done.stderr.strip()}")
    return done.stdout


def _has_device(name: str) -> bool:
    """Return whether the namespace of this thread has a device."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _no_checksum_offload(device: str) -> None:
    """Make the kernel compute checksums: the userspace datapath does not compute those left to the hardware."""
    value = ctypes.create_string_buffer(struct.pack("=II", _ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", device.encode(), ctypes.addressof(value)).ljust(40, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCETHTOOL, request)


def departed(listening: socket.socket) -> bool:
    """Read the messages of `Plumbing.departures`; return whether a device is gone, or messages were lost."""
    try:
        messages = memoryview(listening.recv(1 << 16))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return True
    while len(messages) >= 16:  # struct nlmsghdr
        length, kind = struct.unpack_from("=IH", messages)
        if kind == _RTM_DELLINK:
            return True
        messages = messages[max(length + 3 & ~3, 16) :]
    return False


class Plumbing:
    """The namespaces of one hypervisor's networks.

    Arguments:
        host: name of the namespace that the bridge is in; empty for this process's own.
        prefix: prefix of the names of the networks' namespaces, before `ovnmeta-`; it distinguishes several
            hypervisors on one machine.
        directory: the directory of the names of namespaces.
    """

    def __init__(self, host: str = "", *, prefix: str = "", directory: Path = DIRECTORY) -> None:
        self._host = host
        self._start = prefix + DEVICE
        self._directory = directory
        self._where = ("-netns", host) if host else ()
        self._ipv6 = Path("/proc/sys/net/ipv6").exists()

    def path(self, network: str) -> Path:
        """Return the path of a network's namespace."""
        return self._directory / f"{self._start}{network}"

    def present(self) -> set[str]:
        """Return the networks that have a namespace, even an incomplete one."""
        try:
            names = [entry.name for entry in os.scandir(self._directory)]
        except FileNotFoundError:
            return set()
        return {name.removeprefix(self._start) for name in names if name.startswith(self._start)}

    def identity(self, network: str) -> tuple[int, int] | None:
        """Return the device and inode numbers that identify a namespace; None if none can be entered under its name."""
        try:
            found = self.path(network).stat()
        except FileNotFoundError:
            return None
        return (found.st_dev, found.st_ino) if found.st_dev != self._directory.stat().st_dev else None

    def cabled(self, networks: Iterable[Network]) -> set[str]:
        """Return the ids of the networks whose cable has an end in the bridge's namespace.

        Raises:
            PlumbingError: the namespace that the bridge is in cannot be entered.
        """
        return self._outside(lambda: {network.id for network in networks if _has_device(network.outer)})

    def departures(self) -> socket.socket:
        """Return a socket that is readable after a change of devices in the bridge's namespace (rtnetlink(7)).

        Raises:
            PlumbingError: the namespace that the bridge is in cannot be entered.
        """

        def listen() -> socket.socket:
            kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            made = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
            made.bind((0, _RTMGRP_LINK))
            return made

        return self._outside(listen)

    def make(self, network: Network, *, offload: bool) -> None:
        """Make the namespace, cable and addresses of a network, or correct the existing ones.

        Arguments:
            network: the network.
            offload: whether checksums may be left to the bridge's datapath.

        Raises:
            PlumbingError: a command failed, or the namespace cannot be entered.
        """
        path = self.path(network.id)
        if self.identity(network.id) is None:
            self._forget(path)
            _ip("netns", "add", path.name)
        try:
            within = inside(path, lambda: _has_device(network.inner))
            if not (within and self._outside_has(network.outer)):
                self._lay(network, stale=within)
            self._configure(network, path)
            inside(path, lambda: self._tune(network.inner, offload=offload))
        except OSError as error:
            raise PlumbingError(f"network {network.id}: {error}") from error

    def _outside(self, work: Callable[[], T]) -> T:
        """Call a function in the bridge's namespace, as `inside` does."""
        if not self._host:
            return work()
        try:
            return inside(self._directory / self._host, work)
        except OSError as error:
            raise PlumbingError(f"namespace {self._host}: {error}") from error

    def _outside_has(self, device: str) -> bool:
        return self._outside(lambda: _has_device(device))

    def _lay(self, network: Network, *, stale: bool) -> None:
        """Make the veth pair; an old device that has lost its peer is removed first."""
        name = self.path(network.id).name
        if stale:
            _ip("-netns", name, "link", "delete", network.inner)
        if self._outside_has(network.outer):
            _ip(*self._where, "link", "delete", network.outer)
        _ip(
            *self._where,
            lines=(
                f"link add {network.outer} type veth peer name {network.inner} netns {name}",
                f"link set {network.outer} addrgenmode none up" if self._ipv6 else f"link set {network.outer} up",
            ),
        )

    def _configure(self, network: Network, path: Path) -> None:
        """Set the hardware address and the IP addresses of the inner end, and remove all its other addresses."""
        device = network.inner
        wanted = [f"{ADDRESS}/32", *network.cidrs]
        if self._ipv6:
            wanted.append(f"{ADDRESS6}/64")
        else:
            wanted = [cidr for cidr in wanted if ":" not in cidr]
        (link,) = orjson.loads(_ip("-json", "-netns", path.name, "address", "show", "dev", device))
        there = {f"{found['local']}/{found['prefixlen']}" for found in link.get("addr_info", ())}
        lines = ["link set lo up"]
        if self._ipv6:
            lines.append(f"link set {device} addrgenmode none")
        if link["address"] != network.mac:
            lines.append(f"link set {device} address {network.mac}")
        lines += [f"address delete {cidr} dev {device}" for cidr in sorted(there - set(wanted))]
        lines.append(f"link set {device} up")
        lines += [
            f"address replace {cidr} dev {device}{' nodad' if ':' in cidr else ''}"
            for cidr in wanted
            if cidr not in there
        ]
        _ip("-netns", path.name, lines=lines)

    def _tune(self, device: str, *, offload: bool) -> None:
        """Set what iproute2 cannot set; called inside the namespace. Router advertisements are ignored there."""
        if self._ipv6:
            Path(f"/proc/sys/net/ipv6/conf/{device}/accept_ra").write_text("0")
        if not offload:
            _no_checksum_offload(device)

    def listen(self, network: Network, port: int = 80) -> list[socket.socket]:
        """Open the listening sockets of a network, inside its namespace.

        Raises:
            PlumbingError: they cannot be opened.
        """
        try:
            return inside(self.path(network.id), lambda: self._open(network.inner, port))
        except OSError as error:
            raise PlumbingError(f"network {network.id}: cannot listen: {error}") from error

    def _open(self, device: str, port: int) -> list[socket.socket]:
        opened: list[socket.socket] = []
        places: list[tuple[socket.AddressFamily, tuple[Any, ...]]] = [(socket.AF_INET, (ADDRESS, port))]
        if self._ipv6:
            places.append((socket.AF_INET6, (ADDRESS6, port, 0, socket.if_nametoindex(device))))
        try:
            for family, place in places:
                made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
                opened.append(made)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                made.bind(place)
                made.listen(_BACKLOG)
        except OSError:
            for one in opened:
                one.close()
            raise
        return opened

    def remove(self, network: str) -> None:
        """Remove a network's namespace and cable, if they exist.

        Raises:
            PlumbingError: one of them cannot be removed.
        """
        path = self.path(network)
        try:
            outer = outer_name(network)
            if self._outside_has(outer):
                _ip(*self._where, "link", "delete", outer)
            if self.identity(network) is not None:
                _ip("netns", "delete", path.name)
            self._forget(path)
        except OSError as error:
            raise PlumbingError(f"network {network}: {error}") from error

    @staticmethod
    def _forget(path: Path) -> None:
        """Remove the name of a namespace whose file is not a mount point."""
        path.unlink(missing_ok=True)
