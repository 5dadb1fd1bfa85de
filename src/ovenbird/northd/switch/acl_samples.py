"""Samples of packets that ACLs match: those of new connections, and those of established ones.

ovn-nb(5), ACL, `sample_new` and `sample_est`; Sample, Sample_Collector, Sampling_App. OVN since 24.09 has stages for
samples. Here the action is part of the ACL's own flows, which distinguish the states of connections. The observation
point of a sample is the number of its row, or the ACL's label if it has one. Replies, and packets that are related to a
connection, match no ACL: their connections are committed with that number as label, by which they are recognised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.engine.lookups import find
from ovenbird.model import nb

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW, ESTABLISHED = "acl-new", "acl-est"
"""The applications whose numbers are part of the observation domain, by the state of a connection."""


def sampled(acl: nb.ACL) -> bool:
    """Return whether packets of an ACL are sampled."""
    return acl.sample_new is not None or acl.sample_est is not None


def label_of(acl: nb.ACL) -> int:
    """Return what the connections of an ACL are labelled with, 0 if with nothing."""
    if acl.label or acl.sample_est is None:
        return acl.label
    return acl.sample_est.metadata


def sample_action(acl: nb.ACL, application: str) -> str:
    """Return the actions that sample a packet, with a space behind them; empty if nothing does.

    Arguments:
        acl: the ACL.
        application: `NEW` or `ESTABLISHED`, by the state of the packet's connection.
    """
    sample = acl.sample_new if application == NEW else acl.sample_est
    if sample is None:
        return ""
    app = find(nb.SamplingApp.type, application)
    domain, point = app.id if app is not None else 0, acl.label or sample.metadata
    return "".join(
        f"sample(probability={collector.probability},collector_set={collector.set_id},"
        f"obs_domain={domain},obs_point={point}); "
        for collector in sorted(sample.collectors, key=lambda each: each.id)
        if collector.probability
    )


def by_state(acl: nb.ACL, condition: str, *, act: str) -> Iterator[tuple[str, str]]:
    """Yield a verdict, divided by the state of the packet's connection if packets are sampled.

    Arguments:
        acl: the ACL.
        condition: precedes its match.
        act: the actions.
    """
    if not sampled(acl):
        yield condition, act
        return
    yield f"{condition}ct.est && ", f"{sample_action(acl, ESTABLISHED)}{act}"
    yield f"{condition}!ct.est && ", f"{sample_action(acl, NEW)}{act}"
