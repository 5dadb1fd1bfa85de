"""Logical datapaths as the tracer reads them: flows by stage, ports by name and by key, and the names used in matches.

A datapath is read from Southbound once, when the first packet enters it; a flow is parsed when the first packet comes
to its table.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ovenbird.lang.actions import Actions, parse_actions
from ovenbird.lang.ast import Expr, conjunction
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.errors import LangError
from ovenbird.lang.parser import parse
from ovenbird.lang.template_variables import expand
from ovenbird.model import sb
from ovenbird.net.addresses import is_mac, mac_number, mac_text
from ovenbird.net.ip import ip_address, ip_interface, is_address
from ovenbird.verify.errors import (
    AmbiguousDatapathError,
    AmbiguousPortError,
    UnknownDatapathError,
    UnknownPortError,
)
from ovenbird.verify.steps import label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from ovenbird.engine.rows import Store


_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INPORT = re.compile(r'\binport\s*==\s*"([^"]+)"')


class Flow(NamedTuple):
    """A parsed logical flow; if it does not parse, it has an `error` and matches nothing."""

    row: sb.LogicalFlow
    match: Expr | None
    actions: Actions | None
    error: LangError | None


class Datapath:
    """One logical switch or router.

    Arguments:
        store: Southbound.
        row: its binding.
        variables: the template variables that hold.
    """

    def __init__(self, store: Store, row: sb.DatapathBinding, variables: Mapping[str, str]) -> None:
        ids = row.external_ids
        self._store = store
        self.row = row
        self.uuid = row.uuid
        self.key = row.tunnel_key
        self.is_switch = "logical-switch" in ids
        self.northbound = ids.get("logical-switch") or ids.get("logical-router") or ""
        self.name = ids.get("name2") or ids.get("name") or self.northbound or row.uuid
        self.names = frozenset(n for n in (row.uuid, self.northbound, ids.get("name"), ids.get("name2")) if n)
        self.ports: dict[str, sb.PortBinding] = {p.logical_port: p for p in row.referrers(sb.PortBinding.datapath)}
        self.by_key = {port.tunnel_key: port for port in self.ports.values()}
        groups: list[sb.MulticastGroup] = row.referrers(sb.MulticastGroup.datapath)
        self.groups = {group.tunnel_key: group for group in groups}
        keys = {"none": 0} | {name: port.tunnel_key for name, port in self.ports.items()}  # ovn-northd(8), get_fdb
        self.keys = keys | {group.name: group.tunnel_key for group in groups}
        # People's names for ports are good in a microflow, where no port of that very name is in the way.
        for port in self.ports.values():
            for name in friendly_names(port):
                self.keys.setdefault(name, port.tunnel_key)
        self.bindings = Bindings(
            _AddressSets(store), port_groups=_PortGroups(store, self.key), ports=self.keys, resident=self._resident
        )
        self._rows: dict[tuple[str, int], list[sb.LogicalFlow]] = {}
        self._parsed: dict[str, Flow] = {}
        self._variables = variables
        for flow in self._all_flows():
            self._rows.setdefault((flow.pipeline, flow.table_id), []).append(flow)
        for rows in self._rows.values():
            rows.sort(key=lambda row: (-row.priority, row.uuid))

    def flows(self, pipeline: str, table: int) -> Iterator[Flow]:
        """Yield the flows of a stage, highest priority first; each is parsed when it is first needed."""
        parsed = self._parsed
        for row in self._rows.get((pipeline, table), ()):
            flow = parsed.get(row.uuid)
            if flow is None:
                flow = parsed[row.uuid] = _flow(row, self._variables)
            yield flow

    def flows_with(self, action: str, *, match: str) -> Iterator[Flow]:
        """Yield the flows whose actions and match contain given texts, highest priority of each stage first."""
        for rows in self._rows.values():
            for row in rows:
                if action in row.actions and match in row.match:
                    yield self._parsed.setdefault(row.uuid, _flow(row, self._variables))

    def port_name(self, key: int) -> str:
        """Return the name of the port or multicast group with that key, the empty string if there is none."""
        if key in self.by_key:
            return self.by_key[key].logical_port
        return self.groups[key].name if key in self.groups else ""

    def _resident(self, name: str) -> bool:
        """Return true for every existing port: as in ovn-trace(8), all ports are on one chassis."""
        return self._store.find(sb.PortBinding.logical_port, name) is not None

    def _all_flows(self) -> Iterable[sb.LogicalFlow]:
        yield from self.row.referrers(sb.LogicalFlow.logical_datapath)
        for group in self.row.referrers(sb.LogicalDPGroup.datapaths):
            yield from group.referrers(sb.LogicalFlow.logical_dp_group)


class LogicalNetwork:
    """The datapaths of a Southbound, by all of their names.

    Arguments:
        store: Southbound's rows.
        fetch: called once with each datapath that a packet enters, to bring its flows into the store; None if all
            flows are there.
    """

    def __init__(self, store: Store, fetch: Callable[[sb.DatapathBinding], None] | None = None) -> None:
        self.store = store
        self._fetch = fetch
        self._datapaths: dict[str, Datapath] = {}
        self._fetched: set[str] = set()
        self._variables: Mapping[str, str] = {}

    def datapath(self, name: str) -> Datapath:
        """Return the datapath with that name or UUID (a logical one's, its binding's, or one from the cloud).

        Raises:
            UnknownDatapathError: there is none.
            AmbiguousDatapathError: there are several.
        """
        table = self.store.table(sb.DatapathBinding)
        names = {name, f"neutron-{name}"} if _ID.fullmatch(name) else {name}
        found = [row for row in table.rows.values() if not names.isdisjoint((row.uuid, *row.external_ids.values()))]
        if not found:
            raise UnknownDatapathError(f"there is no logical switch or router named {name}")
        if len(found) > 1:
            raise AmbiguousDatapathError(f"{len(found)} logical switches or routers are named {name}: use a UUID")
        return self.of(found[0])

    def start(self, datapath: str | None, microflow: str) -> Datapath:
        """Return the datapath where a microflow begins: the given one, or else that of its inport.

        From now on template variables are those of the chassis that has the inport.

        Raises:
            VerifyError: there is none, or several.
        """
        found = _INPORT.search(microflow)
        self._be_on_chassis_of(found[1] if found is not None else "")
        if datapath is not None:
            return self.datapath(datapath)
        if found is None:
            raise UnknownPortError("the microflow names no inport, and no datapath is given")
        return self.of(self.port(found[1]).datapath)

    def _be_on_chassis_of(self, name: str) -> None:
        """Take the template variables of the chassis that has a port of that name; none if no chassis has it."""
        port: sb.PortBinding | None = self.store.find(sb.PortBinding.logical_port, name)
        chassis = port.chassis.name if port is not None and port.chassis is not None else ""
        row: sb.ChassisTemplateVar | None = self.store.find(sb.ChassisTemplateVar.chassis, chassis)
        variables = row.variables if row is not None else {}
        if variables != self._variables:
            self._variables = variables
            self._datapaths.clear()

    def port(self, name: str, within: Datapath | None = None) -> sb.PortBinding:
        """Return the port with that name (logical or display name) or address.

        Arguments:
            name: name, MAC or IP address.
            within: the datapath whose ports are meant; None for all.

        Raises:
            UnknownPortError: there is none.
            AmbiguousPortError: there are several.
        """
        if within is None:
            exact: sb.PortBinding | None = self.store.find(sb.PortBinding.logical_port, name)
            ports: Iterable[sb.PortBinding] = self.store.table(sb.PortBinding).rows.values()
        else:
            exact, ports = within.ports.get(name), within.ports.values()
        if exact is not None:
            return exact
        word = _canonical(name)
        own = [p for p in ports if p.type != "chassisredirect"]  # which is another port's stand-in, with its addresses
        found = [p for p in own if name in friendly_names(p)] or [p for p in own if word and word in addresses(p)]
        if not found:
            raise UnknownPortError(f"there is no logical port with the name or address {name}")
        if len(found) > 1:
            several = ", ".join(sorted(label(port) for port in found))
            raise AmbiguousPortError(f"{len(found)} logical ports have the name or address {name}: {several}")
        return found[0]

    def of(self, row: sb.DatapathBinding) -> Datapath:
        """Return the datapath of a binding."""
        found = self._datapaths.get(row.uuid)
        if found is None:
            if self._fetch is not None and row.uuid not in self._fetched:
                self._fetched.add(row.uuid)
                self._fetch(row)
            found = self._datapaths[row.uuid] = Datapath(self.store, row, self._variables)
        return found

    def peer(self, port: sb.PortBinding) -> sb.PortBinding | None:
        """Return the peer of a patch port, or None."""
        name = port.options.get("peer")
        peer: sb.PortBinding | None = self.store.find(sb.PortBinding.logical_port, name) if name else None
        return peer

    def localnets(self) -> list[sb.PortBinding]:
        """Return the localnet ports."""
        rows = self.store.table(sb.PortBinding).rows.values()
        return sorted((port for port in rows if port.type == "localnet"), key=lambda port: port.logical_port)

    def interface_prefix(self, address: IPv4Address | IPv6Address) -> IPv4Network | IPv6Network | None:
        """Return the prefix of a router's port that contains an address, or None."""
        for port in self.store.table(sb.PortBinding).rows.values():
            if port.type in ("patch", "l3gateway"):
                for prefix in _interface_prefixes(port):
                    if address in prefix:
                        return prefix
        return None

    def leads_to(self, switch: Datapath, mac: str, address: IPv4Address | IPv6Address) -> bool:
        """Return whether a router, given by a switch and the MAC of its port there, has a port in an address's network.

        Arguments:
            switch: the switch.
            mac: the MAC address.
            address: the IP address.
        """
        for port in switch.ports.values():
            peer = self.peer(port)
            if peer is not None and any(text.split()[:1] == [mac] for text in peer.mac):
                return any(
                    address in prefix
                    for p in self.of(peer.datapath).ports.values()
                    for prefix in _interface_prefixes(p)
                )
        return False


def _interface_prefixes(port: sb.PortBinding) -> Iterator[IPv4Network | IPv6Network]:
    for word in " ".join(port.mac).split():
        with suppress(ValueError):
            yield ip_interface(word).network


def friendly_names(port: sb.PortBinding) -> frozenset[str]:
    """Return the display names of a port."""
    ids = port.external_ids
    return frozenset(name for name in (ids.get("neutron:port_name"), ids.get("name")) if name)


def addresses(port: sb.PortBinding) -> frozenset[str]:
    """Return the MAC and IP addresses of a port in their canonical forms, without prefix lengths."""
    words = (_canonical(word.partition("/")[0]) for text in port.mac for word in text.split())
    return frozenset(word for word in words if word)


def _canonical(text: str) -> str:
    """Return a MAC or IP address in its canonical form, the empty string for anything else."""
    return mac_text(mac_number(text)) if is_mac(text) else str(ip_address(text)) if is_address(text) else ""


class _AddressSets:
    """Southbound's address sets, by name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str, /) -> frozenset[str] | None:
        found = self._store.find(sb.AddressSet.name, name)
        return None if found is None else found.addresses


class _PortGroups:
    """The port groups of one datapath: Southbound has one row for each, named after the datapath's key."""

    def __init__(self, store: Store, key: int) -> None:
        self._store = store
        self._key = key

    def get(self, name: str, /) -> frozenset[str] | None:
        found = self._store.find(sb.PortGroup.name, f"{self._key}_{name}")
        if found is None:
            found = self._store.find(sb.PortGroup.name, name)
        return None if found is None else found.ports


def _flow(row: sb.LogicalFlow, variables: Mapping[str, str]) -> Flow:
    try:
        actions = parse_actions(expand(row.actions, variables.get))
        match = conjunction([parse(expand(row.match, variables.get)), *[parse(text) for text in actions.prerequisites]])
    except LangError as error:
        return Flow(row, None, None, error)
    return Flow(row, match, actions, None)
