"""The addresses that chassis have learned: neighbours of routers, and MACs behind ports, for `get_arp` and `get_fdb`.

They are rows of Southbound's MAC_Binding and FDB, and what chassis would have learned from the packets of earlier
traces. What they would learn from a packet takes effect for later packets only, since a controller learns while the
packet continues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.model import sb
from ovenbird.net.addresses import is_mac, mac_number

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ovenbird.engine.rows import Store


class LearnedAddresses:
    """What is known after some packets.

    Arguments:
        store: Southbound's rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._neighbors: dict[tuple[str, str], int] = {}
        self._stations: dict[tuple[int, int], int] = {}
        self._lessons: list[tuple[dict[Any, int], Hashable, int]] = []

    def begin(self) -> None:
        """Begin with a packet; what an unfinished trace would have taught is forgotten."""
        self._lessons.clear()

    def finish(self) -> None:
        """Learn what chassis have learned from the packet."""
        for known, name, value in self._lessons:
            known[name] = value
        self._lessons.clear()

    def neighbor(self, port: str, *, address: str) -> int | None:
        """Return the MAC of a neighbour, or None.

        Arguments:
            port: the name of the router's port.
            address: the neighbour's IP address, in canonical form.
        """
        known = self._neighbors.get((port, address))
        if known is not None:
            return known
        for row in self._store.select(sb.MACBinding.ip, address):
            if row.logical_port == port and is_mac(row.mac):
                return mac_number(row.mac)
        return None

    def learn_neighbor(self, port: str, *, address: str, mac: int) -> None:
        """Learn a neighbour's MAC, for later packets.

        Arguments:
            port: the name of the router's port.
            address: the neighbour's IP address, in canonical form.
            mac: its MAC address.
        """
        self._lessons.append((self._neighbors, (port, address), mac))

    def forwarding(self, datapath: int, *, mac: int) -> int | None:
        """Return the key of the port behind which a MAC is, or None.

        Arguments:
            datapath: the key of the switch.
            mac: the MAC address.
        """
        known = self._stations.get((datapath, mac))
        if known is not None:
            return known
        for row in self._store.select(sb.FDB.dp_key, datapath):
            if is_mac(row.mac) and mac_number(row.mac) == mac:
                found: int = row.port_key
                return found
        return None

    def learn_forwarding(self, datapath: int, *, mac: int, port: int) -> None:
        """Learn a MAC's port, for later packets.

        Arguments:
            datapath: the key of the switch.
            mac: the MAC address.
            port: the key of the port.
        """
        self._lessons.append((self._stations, (datapath, mac), port))
