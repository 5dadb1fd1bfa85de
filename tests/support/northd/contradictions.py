"""Logical flows that say two things of one packet: one datapath, stage, priority and match, but different actions."""

from __future__ import annotations

from collections import defaultdict

from ovenbird.model import sb


def contradictions(flows):
    """Return (datapath, stage, priority, match, actions...) for each, flows of groups counted for every datapath."""
    found = defaultdict(set)
    for flow in flows:
        where = flow.logical_datapath
        for datapath in [where] if where is not None else flow.logical_dp_group.datapaths:
            place = (datapath.external_ids["name"], flow.external_ids["stage-name"], flow.priority, flow.match)
            found[datapath.uuid, *place].add(flow.actions)
    return sorted((*place[1:], *sorted(actions)) for place, actions in found.items() if len(actions) > 1)


def of_store(store):
    """Return those of a Southbound database."""
    return contradictions(store.table(sb.LogicalFlow).rows.values())
