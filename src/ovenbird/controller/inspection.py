"""The state of a controller, as the commands of ovn-controller(8) that list something print it.

A text is made from the present rows when it is requested, at a cost in proportion to its length.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ovenbird.controller.local.local_store import Attachment
from ovenbird.controller.logical_flows.action_context import GROUPS
from ovenbird.controller.logical_flows.logical_flow import CONJUNCTIONS
from ovenbird.controller.logical_flows.meters import METER_IDS
from ovenbird.engine.ids import used
from ovenbird.model import sb, vswitch
from ovenbird.openflow.actions.text import actions_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovenbird.engine.engine import Engine
    from ovenbird.engine.rows import UUID, Store
    from ovenbird.lang.actions.context import GroupSpec

_PB = sb.PortBinding
_RULE = "-" * 40
_KINDS = {"virtual": "VIRTUAL", "localport": "LOCALPORT", "external": "EXTERNAL"}
"""What a port behind another's interface is called by its type; one without a type is a container's."""


def local_bindings(own: Store, *, southbound: Store | None, switch: Store) -> str:
    """Return the interfaces of the integration bridge with an `iface-id`, and the logical ports behind each.

    Arguments:
        own: the controller's own rows.
        southbound: Southbound's; None while there is none.
        switch: the local database's.
    """
    interfaces = switch.table(vswitch.Interface).rows
    lines = ["Local bindings:"]
    for name, uuid in sorted({row.name: row.interface for row in own.table(Attachment).rows.values()}.items()):
        interface = interfaces.get(uuid)
        primary, children = _behind(southbound, name) if southbound is not None else (None, [])
        found = f"OVS interface name : [{interface.name if interface is not None else 'NULL'}]"
        count = len(children) + (primary is not None)
        lines.append(f"name: [{name}], {found}, num binding lports : [{count}]")
        if count:
            lines.append(f"primary lport : [{name}]" if primary is not None else "no primary lport")
        for number, child in enumerate(children, 1):
            kind = _KINDS.get(child.type, "CONTAINER")
            lines.append(f"child lport[{number}] : [{child.logical_port}], type : [{kind}]")
        lines.append(_RULE)
    return _text(lines)


def _behind(southbound: Store, name: str) -> tuple[_PB | None, list[_PB]]:
    """Return the logical port of a name, and those behind its interface."""
    containers = list(southbound.select(_PB.parent_port, name))
    virtual = [port for port in southbound.select(_PB.type, "virtual") if port.virtual_parent == name]
    children = {port.logical_port: port for port in (*containers, *virtual)}
    return southbound.find(_PB.logical_port, name), [children[each] for each in sorted(children)]


def related_ports(own: Store, *, southbound: Store | None) -> str:
    """Return the logical ports that concern this chassis: those bound here, and the patches between their datapaths."""
    if southbound is None:
        return ""
    names = {port.logical_port for port in _attached(own, southbound)}
    names |= {end.logical_port for pair in _patches(own, southbound) for end in pair}
    return _text(sorted(names))


def peer_ports(own: Store, *, southbound: Store | None) -> str:
    """Return the pairs of patch ports between local datapaths."""
    if southbound is None:
        return ""
    lines = [
        f"dp {near.datapath.external_ids.get('name', near.datapath.uuid)} : "
        f"local = {near.logical_port}, remote = {far.logical_port}"
        for near, far in _patches(own, southbound)
    ]
    return _text(sorted(lines))


def _attached(own: Store, southbound: Store) -> Iterator[_PB]:
    """Yield the ports with an interface here, and those behind them."""
    for name in {row.name for row in own.table(Attachment).rows.values()}:
        primary, children = _behind(southbound, name)
        if primary is not None:
            yield primary
        yield from children


def _patches(own: Store, southbound: Store) -> list[tuple[_PB, _PB]]:
    """Return the patch ports of the datapaths that are connected with a port here, each with its peer."""
    pairs = []
    waiting = list({port.datapath.uuid for port in _attached(own, southbound)})
    seen = set(waiting)
    while waiting:
        for near in southbound.select(_PB.datapath, waiting.pop()):
            far = southbound.find(_PB.logical_port, near.options.get("peer", "")) if near.type == "patch" else None
            if far is None:
                continue
            pairs.append((near, far))
            if far.datapath.uuid not in seen:
                seen.add(far.datapath.uuid)
                waiting.append(far.datapath.uuid)
    return pairs


def mac_bindings(southbound: Store | None) -> str:
    """Return the neighbours that chassis have learned for local routers."""
    rows = southbound.table(sb.MACBinding).rows.values() if southbound is not None else ()
    lines = [f"logical port: [{row.logical_port}], ip: [{row.ip}], mac: [{row.mac}]" for row in rows]
    return _text(["Local MAC bindings:", *sorted(lines)])


def conjunction_ids(engine: Engine | None, southbound: Store | None) -> str:
    """Return the ids of conjunctive matches, by flow; one id serves every datapath of a flow."""
    by_flow: defaultdict[UUID, list[int]] = defaultdict(list)
    for key, number in (used(engine, CONJUNCTIONS) if engine is not None else {}).items():
        by_flow[key[0]].append(number)  # type: ignore[index]  # the pool's keys are flow and place
    lines = ["Conjunction IDs allocations:"]
    for flow in sorted(by_flow):
        row = southbound.table(sb.LogicalFlow).rows.get(flow) if southbound is not None else None
        datapath = row.logical_datapath.uuid if row is not None and row.logical_datapath is not None else "several"
        ids = sorted(by_flow[flow])
        lines.append(f"lflow: {flow}, dp: {datapath}, start: {ids[0]}, n: {len(ids)}")
    return _text([*lines, "---", f"Total {sum(map(len, by_flow.values()))} IDs used."])


def groups(engine: Engine | None) -> str:
    """Return the groups of the switch, as ovs-ofctl(8) writes them, with their ids."""
    found = used(engine, GROUPS) if engine is not None else {}
    return _text(sorted(f"{_group(spec)}: {number}" for spec, number in found.items()))  # type: ignore[arg-type]


def _group(spec: GroupSpec) -> str:
    parameter = ",selection_method_param=4294967296" if spec.symmetric else ""
    method = f"hash,fields({','.join(spec.hash_fields)})" if spec.hash_fields else f"dp_hash{parameter}"
    words = [f"type=select,selection_method={method}"]
    for number, bucket in enumerate(spec.buckets):
        watch = f"watch_port:{bucket.watch_port}," if bucket.watch_port else ""
        words.append(f"bucket=bucket_id={number},weight:{bucket.weight},{watch}actions={actions_text(bucket.actions)}")
    return ",".join(words)


def meters(engine: Engine | None) -> str:
    """Return the meters of the switch with their ids: those of Southbound by name, and those that flows have made."""
    found = used(engine, METER_IDS) if engine is not None else {}
    return _text(sorted(f"{_meter(key)}: {number}" for key, number in found.items()))


def _meter(key: object) -> str:
    if not isinstance(key, tuple):
        return str(key)
    flow, rate, burst = key
    flag, size = ("burst ", f" burst_size={burst}") if burst else ("", "")
    return f"__string: uuid {flow} kbps {flag}stats bands=type=drop rate={rate}{size}"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
