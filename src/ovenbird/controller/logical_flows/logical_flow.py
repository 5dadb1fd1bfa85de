"""Logical flows → OpenFlow: each Logical_Flow, in each hosted datapath that it is for.

A logical table is an OpenFlow table (ingress from 8, egress from 42); a match becomes OpenFlow matches with the
datapath in `metadata`; ports are their tunnel keys. A flow that can only concern packets of a port that is not here is
left out: in ingress by `inport`, in egress by `outport`, by the flow's tag `in_out_port`, and by the members of a port
group that are elsewhere. A chassis with 20 of a group's 10,000 ports compiles 20. What is here, a flow's port or a
group's member, says `local_data.is_here` alone. A flow with an address set becomes a pattern, which
`address_set_flows` fills with the set's members.

A flow that this controller cannot translate is reported once and left out; it stops nothing else.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.facts import FLOW, GROUP, PART, TRANSLATED, cookie_of, encode_match
from ovenbird.controller.local.bridge import zero_snat
from ovenbird.controller.local.local_data import here_in, hosted_members, hosted_row, is_here, resident_name
from ovenbird.controller.local.local_store import Translation
from ovenbird.controller.logical_flows.address_set_flows import pattern
from ovenbird.controller.physical.meters import meter_number
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import find, get, rows, table
from ovenbird.engine.rules import rule
from ovenbird.engine.views import view
from ovenbird.lang.actions.context import GroupSpec, OptionType
from ovenbird.lang.actions.layout import Pipeline, Tables
from ovenbird.lang.actions.registry import parse_actions
from ovenbird.lang.actions.stencils import Stencils
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.errors import LangError
from ovenbird.lang.spread import spread
from ovenbird.lang.template import Templates
from ovenbird.lang.text_cache import cached_by_text
from ovenbird.model.sb import (
    AddressSet,
    DatapathBinding,
    DHCPOptions,
    DHCPv6Options,
    LogicalDPGroup,
    LogicalFlow,
    MulticastGroup,
    PortBinding,
    PortGroup,
)
from ovenbird.openflow.actions import Conjunction, encode_actions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.lang.actions.action import Actions
    from ovenbird.lang.compile import Clause
    from ovenbird.lang.stencil import MatchStencil

log = logging.getLogger(__name__)

TABLES = Tables()
CONJUNCTIONS = Pool("conjunction id", 1, 0xFFFFFFFF)
"""Ids of conjunctive matches, by flow and place in the flow; one id serves every datapath of a flow."""

GROUPS = Pool("group id", 1, 0xFFFFFF00)
"""Ids of the switch's groups, by what they do: flows that choose alike share one."""

_templates = Templates()
_stencils = Stencils()
_MAX_ENCODINGS, _MAX_ENCODED = 4096, 4096  # how many are remembered, and of how many characters each
_METADATA_ONES = (1 << 64) - 1
_MULTICAST = 0x8000
_PORT_ONES = 0xFFFFFFFF
_NAMES = re.compile(r'[@"$]|is_chassis_resident')

_READ = 0
"""The columns of a logical flow that its translation reads, all at once."""

for _column in LogicalFlow.COLUMNS:
    if _column is not LogicalFlow.external_ids:
        _READ |= _column.bit
_DATAPATH, _GROUP = LogicalFlow.logical_datapath.index, LogicalFlow.logical_dp_group.index
_PIPELINE, _TABLE, _PRIORITY = LogicalFlow.pipeline.index, LogicalFlow.table_id.index, LogicalFlow.priority.index
_MATCH, _ACTIONS, _TAGS = LogicalFlow.match.index, LogicalFlow.actions.index, LogicalFlow.tags.index
_METER = LogicalFlow.controller_meter.index
_PLACE_OF_PORT = PortBinding.datapath.bit | PortBinding.tunnel_key.bit
_PORT_DATAPATH, _PORT_KEY = PortBinding.datapath.index, PortBinding.tunnel_key.index


# -- names ------------------------------------------------------------------------------------------------------------


def port_key(name: str, datapath: UUID) -> int | None:
    """Return the tunnel key of a port or multicast group of a datapath; None when it has none by that name.

    Not a view: most names are asked for once, and what is read of a port hardly ever changes.
    """
    port: PortBinding | None = find(PortBinding.logical_port, name)
    if port is not None:
        values = port.watch(_PLACE_OF_PORT)
        if values[_PORT_DATAPATH] == datapath:
            key: int = values[_PORT_KEY]
            return key
    index = table(MulticastGroup).index(MulticastGroup.datapath, MulticastGroup.name)
    groups = index.rows((datapath, name))
    return groups[0].tunnel_key if groups else 0 if name == "none" else None


@view
def is_relevant(datapath: UUID, key: int) -> bool:
    """Return whether packets from or to the port with that key can be on this chassis in the pipeline that asks."""
    if key >= _MULTICAST or key == 0:
        return True
    ports = table(PortBinding).index(PortBinding.datapath, PortBinding.tunnel_key).rows((datapath, key))
    return not ports or is_here(ports[0])


@view
def members(group: str, datapath_key: int) -> frozenset[str] | None:
    """Return the ports that a group has in a datapath; None when there is no such group.

    Southbound has a row for each datapath that a group has ports in, named `<datapath's key>_<group>`.
    """
    row = find(PortGroup.name, f"{datapath_key}_{group}") or find(PortGroup.name, group)
    return row.ports if row is not None else None


@view
def local_members(group: str, datapath: DatapathBinding) -> tuple[str, ...] | None:
    """Return the ports of a group in a datapath that are here; None when there is no such group."""
    found = members(group, datapath.tunnel_key)
    return tuple(sorted(here_in(datapath.uuid) & found)) if found is not None else None


class Ports:
    """Port names in one datapath, as tunnel keys."""

    __slots__ = ("datapath",)

    def __init__(self, datapath: UUID) -> None:
        self.datapath = datapath

    def get(self, name: str) -> int | None:
        """Return the key of a port or multicast group."""
        return port_key(name, self.datapath)


class AddressSets:
    """Address sets by name."""

    __slots__ = ()

    def get(self, name: str) -> frozenset[str] | None:
        """Return the addresses of a set."""
        row = find(AddressSet.name, name)
        return row.addresses if row is not None else None


class ExistingSets:
    """Whether there are address sets, whatever their members."""

    __slots__ = ()

    def get(self, name: str) -> UUID | None:
        """Return the UUID of a set."""
        row = find(AddressSet.name, name)
        return row.uuid if row is not None else None


class PortGroups:
    """Port groups in one datapath: their ports, or those of them that are here."""

    __slots__ = ("datapath", "local")

    def __init__(self, datapath: DatapathBinding, *, local: bool) -> None:
        self.datapath = datapath
        self.local = local

    def get(self, name: str) -> frozenset[str] | tuple[str, ...] | None:
        """Return the ports of a group."""
        return local_members(name, self.datapath) if self.local else members(name, self.datapath.tunnel_key)


_SETS = AddressSets()
_EXISTING = ExistingSets()


# -- actions ----------------------------------------------------------------------------------------------------------


@view
def dhcp_options() -> dict[str, OptionType]:
    """Return the DHCPv4 options that actions may name."""
    return {row.name: OptionType(row.code, row.type) for row in rows(DHCPOptions)}


@view
def dhcpv6_options() -> dict[str, OptionType]:
    """Return the DHCPv6 options that actions may name."""
    return {row.name: OptionType(row.code, row.type) for row in rows(DHCPv6Options)}


class FlowContext:
    """The logical flow around an action: `lang.actions.context.Context` of this chassis."""

    __slots__ = ("asked", "datapath", "flow", "groups", "is_switch", "pipeline", "table", "zero_snat")

    tables = TABLES
    collector_sets: frozenset[int] = frozenset()

    def __init__(self, flow: LogicalFlow, datapath: DatapathBinding) -> None:
        self.flow = flow
        self.pipeline = Pipeline.INGRESS if flow.pipeline == "ingress" else Pipeline.EGRESS
        self.table = flow.table_id
        self.datapath = datapath
        self.is_switch = is_switch(datapath)
        self.zero_snat = zero_snat()
        self.asked = False
        self.groups: list[Fact] = []

    @property
    def cookie(self) -> int:
        """The first 32 bits of the flow's UUID."""
        self.asked = True
        return cookie_of(self.flow)

    @property
    def datapath_key(self) -> int:
        """The tunnel key of the datapath."""
        self.asked = True
        return self.datapath.tunnel_key

    @property
    def dhcp_options(self) -> Mapping[str, OptionType]:
        """DHCPv4 options by name."""
        self.asked = True
        return dhcp_options()

    @property
    def dhcpv6_options(self) -> Mapping[str, OptionType]:
        """DHCPv6 options by name."""
        self.asked = True
        return dhcpv6_options()

    def port_key(self, name: str) -> int:
        """Return the tunnel key of a port or multicast group, 0 for none."""
        self.asked = True
        return port_key(name, self.datapath.uuid) or 0

    @property
    def controller_meter(self) -> int:
        """The meter of packets that the flow sends to the controller, 0 for none."""
        name = self.flow.controller_meter
        return self.meter(name) if name else 0

    def meter(self, name: str) -> int:
        """Return the id of a meter, 0 when there is none by that name."""
        self.asked = True
        return meter_number(name)

    def rate_meter(self, rate: int, burst: int) -> int:  # noqa: ARG002
        """Return 0: the rates of QoS rules are not limited."""
        return 0

    def group(self, spec: GroupSpec) -> int:
        """Return the id of the group with that specification, and note that the flow needs it."""
        self.asked = True
        number = GROUPS.get(spec)
        self.groups.append(GROUP(number, spec))
        return number


@view
def is_switch(datapath: DatapathBinding) -> bool:
    """Return whether a datapath is a switch's."""
    return "logical-switch" in datapath.external_ids


# -- flows ------------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A hosted datapath, as its flows need it."""

    row: DatapathBinding
    key: int
    metadata: bytes
    is_switch: bool
    zero_snat: bool


@view
def place(datapath: UUID) -> Place | None:
    """Return a hosted datapath's place; None for one that is not hosted or whose row has not come yet."""
    row = hosted_row(datapath)
    if row is None:
        return None
    return Place(row, row.tunnel_key, row.tunnel_key.to_bytes(8, "big"), is_switch(row), zero_snat())


@rule(LogicalFlow)
def logical_flow(flow: LogicalFlow) -> Iterable[Fact]:
    """Return a logical flow's OpenFlow flows."""
    values = flow.watch(_READ)
    tag = values[_TAGS].get("in_out_port")
    if tag is not None:
        tagged = find(PortBinding.logical_port, tag)
        if tagged is None or not is_here(tagged):
            return ()
    own, group_uuid = values[_DATAPATH], values[_GROUP]
    if group_uuid is None:
        return _translated(flow, values, (own,)) if own is not None else ()
    group = get(LogicalDPGroup, group_uuid)
    uuids = [own] if own is not None else []
    if group is not None:
        uuids += [uuid for uuid in hosted_members(group) if uuid != own]
    # What names stand for changes in one datapath at a time: then that one alone is translated again.
    if len(uuids) > 1 and (_NAMES.search(values[_MATCH]) is not None or '"' in values[_ACTIONS]):
        return [TRANSLATED(flow.uuid, uuid) for uuid in uuids]
    return _translated(flow, values, uuids)


@rule(Translation)
def translation(row: Translation) -> Iterable[Fact]:
    """Return the OpenFlow flows of a logical flow in one of its datapaths."""
    flow = get(LogicalFlow, row.flow)
    return _translated(flow, flow.watch(_READ), (row.datapath,)) if flow is not None else ()


def _translated(flow: LogicalFlow, values: list[Any], uuids: Sequence[UUID]) -> list[Fact]:
    """Return the flows in some datapaths; in several only if no name in them can mean more than one thing."""
    facts: list[Fact] = []
    stamps: dict[bool, Stamp | None] = {}
    for uuid in uuids:
        here = place(uuid)
        if here is None:
            continue
        try:
            if here.is_switch not in stamps:
                stamps[here.is_switch] = _stamp(flow, values, here)
            stamp = stamps[here.is_switch]
            if stamp is None:
                facts += _translation(flow, here)
            else:
                _stamped(stamp, here, facts)
        except LangError as error:
            report(flow, str(error))
    return facts


@cached_by_text
def _reported(text: str) -> str:
    log.warning("%s", text)
    return text


def report(flow: LogicalFlow, error: str) -> None:
    """Say once what is wrong with a flow that is left out."""
    where = f"{flow.pipeline} table {flow.table_id} priority {flow.priority}"
    _reported(f"flow left out: {where} match ({flow.match}) actions ({flow.actions}): {error}")


class Stamp(NamedTuple):
    """A logical flow's OpenFlow flows, all but the datapath: stencils, what fills them, and the rest of the facts."""

    stencils: tuple[MatchStencil, ...]
    values: list[bytes]
    register: str
    head: tuple[Relation, int, int]
    tail: tuple[bytes, int]


def _stamp(flow: LogicalFlow, values: list[Any], here: Place) -> Stamp | None:
    """Return a flow whose match and actions are of known shapes; None for one that has to be compiled."""
    uuid, ingress, table_id = here.row.uuid, values[_PIPELINE] == "ingress", values[_TABLE]
    if values[_METER]:
        return None
    names = _names(uuid)
    where = (ingress, table_id, here.is_switch, here.zero_snat)
    filled = _stencils.fill(values[_ACTIONS], where, names.ports.get, lambda: FlowContext(flow, here.row))
    if filled is None:
        return None
    actions, prerequisites = filled
    match = _guarded(values[_MATCH], prerequisites) if prerequisites else values[_MATCH]
    if "@" in match:
        names = _bindings(match, here.row, ingress=ingress)
    found = _templates.stencils(match, names)
    if found is None:
        return None
    head = (FLOW, table_id + (TABLES.ingress if ingress else TABLES.egress), values[_PRIORITY])
    return Stamp(*found, "reg14" if ingress else "reg15", head, (actions, cookie_of(flow)))


def _stamped(stamp: Stamp, here: Place, facts: list[Fact]) -> None:
    """Add a stamp's flows in one datapath."""
    stencils, values, register, head, tail = stamp
    values[0] = here.metadata
    for stencil in stencils:
        form, picked, ports = stencil
        if register in ports:
            port = stencil.port(register, values)
            if port is not None and not is_relevant(here.row.uuid, port):
                continue
        facts.append((*head, form % picked(values), *tail))


@lru_cache(maxsize=4096)
def _names(datapath: UUID) -> Bindings:
    """Return what the names of ports mean in a datapath."""
    return Bindings(ports=Ports(datapath), resident=resident_name)


def _guarded(match: str, prerequisites: tuple[str, ...]) -> str:
    """Return a match ANDed with what its flow's actions ask for."""
    for prerequisite in prerequisites:
        match = f"({match}) && ({prerequisite})"
    return match


def _translation(flow: LogicalFlow, here: Place) -> Iterator[Fact]:
    """Yield the flows in one datapath, compiled and encoded."""
    datapath, uuid = here.row, here.row.uuid
    ingress = flow.pipeline == "ingress"
    parsed = parse_actions(flow.actions)
    text = _guarded(flow.match, parsed.prerequisites)
    bindings = _bindings(text, datapath, ingress=ingress)
    pattern_of = spread(text, bindings, _EXISTING) if "$" in text and "vlan" not in text else None
    compiled = pattern_of.compiled if pattern_of is not None else _templates.compile(text, bindings)
    if not compiled.flows:
        return
    register = "reg14" if ingress else "reg15"
    ids = [CONJUNCTIONS.get((flow.uuid, n)) for n in range(compiled.n_conjunctions)]
    actions = None
    number = flow.table_id + (TABLES.ingress if ingress else TABLES.egress)
    priority, cookie = flow.priority, cookie_of(flow)
    metadata = (here.key, _METADATA_ONES)
    for match, clauses in compiled.flows:
        port = match.get(register)
        if port is not None and port[1] == _PORT_ONES and not is_relevant(uuid, port[0]):
            continue
        fields = {**match, "metadata": metadata}
        if ids and "conj_id" in match:
            fields["conj_id"] = (ids[match["conj_id"][0] - 1], _PORT_ONES)
        tails: list[tuple[Any, ...]]
        if clauses:
            tails = [_part_tail(clause, ids) for clause in clauses]
        else:
            if actions is None:
                actions, groups = _encoded_actions(flow, datapath, parsed)
                yield from groups
            tails = [(actions, cookie)]
        head = (PART if clauses else FLOW, number, priority)
        hole = pattern_of.hole(match) if pattern_of is not None else None
        if hole is not None:
            for tail in tails:
                yield pattern(fields, *hole, head, tail)
            continue
        encoded = encode_match(fields)
        for tail in tails:
            yield (*head, encoded, *tail)


def _part_tail(clause: Clause, ids: list[int]) -> tuple[int, tuple[int, int], bytes]:
    """Return what a part's fact says of a clause: no cookie, its place, the action."""
    conjunction = Conjunction(ids[clause.conjunction - 1], clause.dimension, clause.dimensions)
    return 0, (conjunction.conj_id, clause.dimension), encode_actions((conjunction,))


_NO_NAMES = Bindings()
_encodings: dict[tuple[str, str, int, bool, bool], bytes] = {}


def _encoded_actions(flow: LogicalFlow, datapath: DatapathBinding, parsed: Actions) -> tuple[bytes, list[Fact]]:
    """Encode a flow's actions, and return the groups that they need.

    Those that ask nothing of their surroundings but the table are remembered.
    """
    key = (flow.actions, flow.pipeline, flow.table_id, is_switch(datapath), zero_snat())
    found = _encodings.get(key)
    if found is not None and not flow.controller_meter:
        return found, []
    context = FlowContext(flow, datapath)
    found = encode_actions(parsed.encode(context))
    if not context.asked and len(flow.actions) <= _MAX_ENCODED:
        if len(_encodings) >= _MAX_ENCODINGS:
            _encodings.clear()
        _encodings[key] = found
    return found, context.groups


def _bindings(text: str, datapath: DatapathBinding, *, ingress: bool) -> Bindings:
    """Return what the names in a match mean; port groups are cut down where only ports that are here can match.

    A packet is in ingress where it came in and in egress where it goes out. The other port may be on any chassis, so a
    match that speaks of that one at all has its groups whole.
    """
    if _NAMES.search(text) is None:
        return _NO_NAMES
    groups = PortGroups(datapath, local=("outport" if ingress else "inport") not in text)
    return Bindings(address_sets=_SETS, port_groups=groups, ports=Ports(datapath.uuid), resident=resident_name)
