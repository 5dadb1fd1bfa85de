"""Logical flows → OpenFlow: each Logical_Flow, in each local datapath that it applies to.

A logical table is an OpenFlow table (`openflow_table`); a match becomes OpenFlow matches with the datapath in
`metadata`; ports are their tunnel keys. A flow that can only match packets of a port that is not local is omitted: in
ingress by `inport`, in egress by `outport`, by the flow's tag `in_out_port`, and for the members of a port group that
are not local. A chassis with 20 of a group's 10,000 ports compiles 20. `local_data.is_here` alone decides
whether a flow's port or a group's member is local. A flow with an address set becomes a template, which
`address_set_flows` instantiates with the set's members. A template variable (`^NAME`) is its value on this chassis, and
only the flows that have it are translated again when that changes.

A flow that this controller cannot translate is reported once and omitted; it does not affect others.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.facts import FLOW, PART, address_set_flow, cookie_of, encode_match
from ovenbird.controller.local.bridge import zero_snat
from ovenbird.controller.local.local_data import hosted_members, hosted_row, is_chassis_resident, is_here
from ovenbird.controller.local.northd_dialect import consolidates_registers
from ovenbird.controller.local.notices import warning
from ovenbird.controller.local.template_variables import expanded
from ovenbird.controller.logical_flows.action_context import FlowContext, is_switch
from ovenbird.controller.logical_flows.names import ADDRESS_SETS, EXISTING_SETS, PortGroups, PortKeys, is_key_here
from ovenbird.engine.branches import Branches, BranchingRule
from ovenbird.engine.errors import IdsExhaustedError
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import find, get
from ovenbird.engine.views import view
from ovenbird.lang.actions.registry import parse_actions
from ovenbird.lang.bindings import Bindings
from ovenbird.lang.errors import FieldError, LangError
from ovenbird.lang.template_variables import PREFIX
from ovenbird.lang.templates.action import ActionTemplates, Filled
from ovenbird.lang.templates.address_set import address_set_template
from ovenbird.lang.templates.match import Templates
from ovenbird.lang.text_cache import cached_by_text
from ovenbird.model.sb import (
    DatapathBinding,
    LogicalDPGroup,
    LogicalFlow,
    PortBinding,
)
from ovenbird.openflow.actions import Conjunction, encode_actions
from ovenbird.pipeline.openflow_tables import openflow_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.engine.rows import UUID
    from ovenbird.lang.actions.action import Actions
    from ovenbird.lang.compile import ConjunctionClause
    from ovenbird.lang.templates.bytes import MatchTemplate

log = logging.getLogger(__name__)
CONJUNCTIONS = Pool("conjunction id", 1, 0xFFFFFFFF)
"""Ids of conjunctive matches, by flow and place in the flow; one id serves every datapath of a flow."""

_MAX_ENCODINGS, _MAX_ENCODED = 4096, 4096  # how many are remembered, and of how many characters each
_SHOWN = 1000
"""How many characters of a match and of actions a report shows."""
_MAX_DATAPATHS = 4096
"""Of how many datapaths it is remembered how names are looked up."""
_METADATA_ONES = (1 << 64) - 1
_PORT_ONES = 0xFFFFFFFF
_BACKENDS = "(backends="
"""In actions that choose among the backends of a load balancer."""
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


class HostedDatapath(NamedTuple):
    """What the flows of a hosted datapath need of it."""

    row: DatapathBinding
    key: int
    metadata: bytes
    is_switch: bool
    zero_snat: bool
    consolidates_registers: bool


@view
def hosted_datapath(datapath: UUID) -> HostedDatapath | None:
    """Return a hosted datapath; None for one that is not hosted or whose row has not been received yet."""
    row = hosted_row(datapath)
    if row is None:
        return None
    return HostedDatapath(
        row=row,
        key=row.tunnel_key,
        metadata=row.tunnel_key.to_bytes(8, "big"),
        is_switch=is_switch(row),
        zero_snat=zero_snat(),
        consolidates_registers=consolidates_registers(),
    )


class FlowTemplate(NamedTuple):
    """The OpenFlow flows of a logical flow without the datapath: templates, their arguments, the rest of the facts."""

    matches: tuple[MatchTemplate, ...]
    values: list[bytes]
    register: str
    head: tuple[Relation, int, int]
    tail: tuple[bytes, int]
    needs: list[Fact]


class Translator:
    """Translates the logical flows of one engine; it owns their templates."""

    __slots__ = ("__weakref__", "_actions", "_encodings", "_matches", "_names", "_reported")

    def __init__(self) -> None:
        self._matches = Templates()
        self._actions = ActionTemplates()
        self._encodings: dict[tuple[str, str, int, bool, bool, bool], bytes] = {}
        self._names = lru_cache(maxsize=_MAX_DATAPATHS)(_names)
        self._reported = cached_by_text(_report)

    def rule(self) -> BranchingRule:
        """Return the rule of every logical flow, which keeps the translator alive."""
        rule = BranchingRule(self.logical_flow, LogicalFlow, self.translation)
        rule.name, rule.branch.name = "logical_flow", "translation"
        return rule

    def logical_flow(self, flow: LogicalFlow) -> Iterable[Fact | Branches]:
        """Return a logical flow's OpenFlow flows."""
        values = self._watched(flow)
        if values is None:
            return ()
        tag = values[_TAGS].get("in_out_port")
        if tag is not None:
            tagged = find(PortBinding.logical_port, tag)
            if tagged is None or not is_here(tagged):
                return ()
        own, group_uuid = values[_DATAPATH], values[_GROUP]
        if group_uuid is None:
            return self._translated(flow, values, (own,)) if own is not None else ()
        group = get(LogicalDPGroup, group_uuid)
        uuids = [own] if own is not None else []
        if group is not None:
            uuids += [uuid for uuid in hosted_members(group) if uuid != own]
        # What names stand for changes in one datapath at a time: then that one alone is translated again.
        if len(uuids) > 1 and (_NAMES.search(values[_MATCH]) is not None or '"' in values[_ACTIONS]):
            return (Branches(uuids),)
        return self._translated(flow, values, uuids)

    def translation(self, flow: LogicalFlow, datapath: UUID) -> Iterable[Fact]:
        """Return the OpenFlow flows of a logical flow in one of its datapaths."""
        values = self._watched(flow)
        return self._translated(flow, values, (datapath,)) if values is not None else ()

    def _watched(self, flow: LogicalFlow) -> list[Any] | None:
        """Return a flow's columns, with the values of the variables in its match and actions; None if too long."""
        values = flow.watch(_READ)
        match, actions = values[_MATCH], values[_ACTIONS]
        if PREFIX in match or PREFIX in actions:
            values = values.copy()
            try:
                values[_MATCH], values[_ACTIONS] = expanded(match), expanded(actions)
            except LangError as error:
                self._reported(left_out(flow, str(error)))
                return None
        return values

    def _translated(self, flow: LogicalFlow, values: list[Any], uuids: Sequence[UUID]) -> list[Fact]:
        """Return the flows in some datapaths; in several only if each name means the same in all of them."""
        facts: list[Fact] = []
        templates: dict[bool, FlowTemplate | None] = {}
        for uuid in uuids:
            here = hosted_datapath(uuid)
            if here is None:
                continue
            try:
                if here.is_switch not in templates:
                    templates[here.is_switch] = template = self._template(flow, values, here)
                    facts += template.needs if template is not None else ()
                template = templates[here.is_switch]
                if template is None:
                    facts += self._translation(flow, values, here)
                else:
                    _instantiate(template, here, facts)
            except LangError as error:
                self._reported(left_out(flow, str(error)))
            except IdsExhaustedError as error:  # of groups, meters or conjunctions, until one is released
                facts.append(warning(left_out(flow, str(error))))
        return facts

    def _template(self, flow: LogicalFlow, values: list[Any], here: HostedDatapath) -> FlowTemplate | None:
        """Return the template of a flow whose match and actions have known forms; None if it has to be compiled."""
        uuid, ingress, table_id = here.row.uuid, values[_PIPELINE] == "ingress", values[_TABLE]
        if values[_METER] is not None:
            return None
        names = self._names(uuid)
        where = (ingress, table_id, here.is_switch, here.zero_snat, here.consolidates_registers)
        needs: list[Fact] = []
        if _BACKENDS in values[_ACTIONS]:
            filled = _balanced(values[_ACTIONS], FlowContext(flow, here.row), needs)
        else:
            filled = self._actions.fill(values[_ACTIONS], where, names.ports.get, lambda: FlowContext(flow, here.row))
        if filled is None:
            return None
        actions, prerequisites = filled
        match = _guarded(values[_MATCH], prerequisites) if prerequisites else values[_MATCH]
        if "@" in match:
            names = _bindings(match, here.row, ingress=ingress)
        found = self._matches.encoded(match, names)
        if found is None:
            return None
        head = (FLOW, _table_of(values[_PIPELINE], table_id), values[_PRIORITY])
        return FlowTemplate(*found, "reg14" if ingress else "reg15", head, (actions, cookie_of(flow)), needs)

    def _translation(self, flow: LogicalFlow, values: list[Any], here: HostedDatapath) -> Iterator[Fact]:
        """Yield the flows in one datapath, compiled and encoded."""
        datapath, uuid = here.row, here.row.uuid
        ingress = flow.pipeline == "ingress"
        parsed = parse_actions(values[_ACTIONS])
        text = _guarded(values[_MATCH], parsed.prerequisites)
        bindings = _bindings(text, datapath, ingress=ingress)
        with_sets = address_set_template(text, bindings, EXISTING_SETS) if "$" in text and "vlan" not in text else None
        compiled = with_sets.compiled if with_sets is not None else self._matches.compile(text, bindings)
        if not compiled.flows:
            return
        register = "reg14" if ingress else "reg15"
        ids = [CONJUNCTIONS.get((flow.uuid, n)) for n in range(compiled.n_conjunctions)]
        actions = None
        number = _table_of(flow.pipeline, flow.table_id)
        priority, cookie = flow.priority, cookie_of(flow)
        metadata = (here.key, _METADATA_ONES)
        for match, clauses in compiled.flows:
            port = match.get(register)
            if port is not None and port[1] == _PORT_ONES and not is_key_here(uuid, port[0]):
                continue
            fields = {**match, "metadata": metadata}
            if ids and "conj_id" in match:
                fields["conj_id"] = (ids[match["conj_id"][0] - 1], _PORT_ONES)
            tails: list[tuple[Any, ...]]
            if clauses:
                tails = [_part_tail(clause, ids) for clause in clauses]
            else:
                if actions is None:
                    actions, needs = self._encoded_actions(flow, values[_ACTIONS], datapath, parsed)
                    yield from needs
                tails = [(actions, cookie)]
            head = (PART if clauses else FLOW, number, priority)
            slot = with_sets.slot(match) if with_sets is not None else None
            if slot is not None:
                for tail in tails:
                    yield address_set_flow(fields, field=slot[0], address_set=slot[1], head=head, tail=tail)
                continue
            encoded = encode_match(fields)
            for tail in tails:
                yield (*head, encoded, *tail)

    def _encoded_actions(
        self, flow: LogicalFlow, text: str, datapath: DatapathBinding, parsed: Actions
    ) -> tuple[bytes, list[Fact]]:
        """Encode a flow's actions, and return the groups and meters that they need.

        The encoding of actions that depend on nothing but the table is cached.
        """
        dialect = zero_snat(), consolidates_registers()
        key = (text, flow.pipeline, flow.table_id, is_switch(datapath), *dialect)
        found = self._encodings.get(key)
        if found is not None and flow.controller_meter is None:
            return found, []
        context = FlowContext(flow, datapath)
        found = encode_actions(parsed.encode(context))
        if not context.asked and len(text) <= _MAX_ENCODED:
            if len(self._encodings) >= _MAX_ENCODINGS:
                self._encodings.clear()
            self._encodings[key] = found
        return found, context.needs


def _report(text: str) -> str:
    log.warning("%s", text)
    return text


def left_out(flow: LogicalFlow, error: str) -> str:
    """Return the log text about a flow that is left out."""
    where = f"{flow.pipeline} table {flow.table_id} priority {flow.priority}"
    match, actions = (text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..." for text in (flow.match, flow.actions))
    return f"flow left out: {where} match ({match}) actions ({actions}): {error}"


def _balanced(text: str, context: FlowContext, needs: list[Fact]) -> Filled | None:
    """Encode the actions of a load balancer once for all datapaths; None if they mean something else in each.

    Their texts have nothing in common but a few words, so templates of them would serve one balancer each.

    Arguments:
        text: the actions.
        context: the flow's, in any of its datapaths.
        needs: receives the groups and meters that they refer to.
    """
    parsed = parse_actions(text)
    encoded = encode_actions(parsed.encode(context))
    if context.is_local_to_datapath:
        return None
    needs += context.needs
    return Filled(encoded, parsed.prerequisites)


def _instantiate(template: FlowTemplate, here: HostedDatapath, facts: list[Fact]) -> None:
    """Instantiate a template in one datapath."""
    matches, values, register, head, tail, _ = template
    values[0] = here.metadata
    for match in matches:
        form, picked, ports = match
        if register in ports:
            port = match.port(register, values)
            if port is not None and not is_key_here(here.row.uuid, port):
                continue
        facts.append((*head, form % picked(values), *tail))


def _names(datapath: UUID) -> Bindings:
    """Return the resolver of port names in a datapath."""
    return Bindings(ports=PortKeys(datapath), resident=is_chassis_resident)


def _table_of(pipeline: str, table: int) -> int:
    try:
        return openflow_table(pipeline, table)
    except ValueError as error:
        raise FieldError(str(error)) from None


def _guarded(match: str, prerequisites: tuple[str, ...]) -> str:
    """Return a match ANDed with the prerequisites of its flow's actions."""
    for prerequisite in prerequisites:
        match = f"({match}) && ({prerequisite})"
    return match


def _part_tail(clause: ConjunctionClause, ids: list[int]) -> tuple[int, tuple[int, int], bytes]:
    """Return the rest of a conjunctive part's fact: no cookie, the clause's position, the action."""
    conjunction = Conjunction(conj_id=ids[clause.conjunction - 1], clause=clause.dimension, n_clauses=clause.dimensions)
    return 0, (conjunction.conj_id, clause.dimension), encode_actions((conjunction,))


_NO_NAMES = Bindings()


def _bindings(text: str, datapath: DatapathBinding, *, ingress: bool) -> Bindings:
    """Return the resolvers of names in a match; port groups are reduced where only local ports can match.

    A packet is in ingress where it came in, and in egress where it goes out. The other port may be on any chassis, so
    the groups in a match that mentions the other port are complete.
    """
    if _NAMES.search(text) is None:
        return _NO_NAMES
    groups = PortGroups(datapath, local=("outport" if ingress else "inport") not in text)
    return Bindings(
        address_sets=ADDRESS_SETS, port_groups=groups, ports=PortKeys(datapath.uuid), resident=is_chassis_resident
    )
