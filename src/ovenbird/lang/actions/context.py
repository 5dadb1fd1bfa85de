"""The context in which an action is encoded: one logical flow on one chassis.

The encoding is a pure function of action and context: equal actions in equal contexts have equal encodings, so a caller
may cache them by `(actions, the context's answers)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ovenbird.lang.errors import FieldError
from ovenbird.pipeline.openflow_tables import PIPELINE_LENGTH, OFTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.openflow.actions import Action as OpenFlowAction
    from ovenbird.pipeline.stages import Pipeline


@dataclass(frozen=True, slots=True)
class Bucket:
    """One alternative of a group, taken in proportion to `weight`.

    Arguments:
        actions: what it does.
        weight: its share among the others.
        watch: the logical port that has to be reachable, if that matters.
        watch_port: the OpenFlow port whose link has to be up, 0 for none: the chassis's answer to `watch`.
    """

    actions: tuple[OpenFlowAction, ...]
    weight: int = 100
    watch: str = ""
    watch_port: int = 0


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """An OpenFlow group of type select; equal specifications share one group.

    Buckets are chosen by the datapath's hash, or by that of `hash_fields` (names of ovs-fields(7)) when there are any;
    `symmetric` asks for a hash that is the same in both directions of a connection.
    """

    buckets: tuple[Bucket, ...]
    hash_fields: tuple[str, ...] = ()
    symmetric: bool = False


@dataclass(frozen=True, slots=True)
class OptionType:
    """A row of Southbound's DHCP_Options or DHCPv6_Options: the option's code, and the type that its value has."""

    code: int
    type: str


class Context(Protocol):
    """The logical flow around an action and the names that it may mention."""

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline that the flow is in."""

    @property
    def table(self) -> int:
        """The flow's logical table within its pipeline."""

    @property
    def is_switch(self) -> bool:
        """Whether the datapath is a switch; in routers connections are tracked in the DNAT zone."""

    @property
    def zero_snat(self) -> bool:
        """Whether connections are committed with a source of their own choice (the original's `ct_zero_snat`)."""

    @property
    def datapath_key(self) -> int:
        """The tunnel key of the datapath."""

    @property
    def cookie(self) -> int:
        """The first 32 bits of the flow's UUID."""

    @property
    def controller_meter(self) -> int:
        """The meter of packets that the flow sends to the controller, 0 for none."""

    @property
    def dhcp_options(self) -> Mapping[str, OptionType]:
        """DHCPv4 options by name."""

    @property
    def dhcpv6_options(self) -> Mapping[str, OptionType]:
        """DHCPv6 options by name."""

    @property
    def collector_sets(self) -> frozenset[int]:
        """The IPFIX collector sets that exist on this chassis."""

    def port_key(self, name: str) -> int:
        """Return the tunnel key of a port or multicast group of the datapath, 0 when it has none by that name."""

    def meter(self, name: str) -> int:
        """Return the id of the meter of that name, 0 when there is none."""

    def rate_meter(self, rate: int, *, burst: int) -> int:
        """Return the id of a meter that drops above `rate` kbps with bursts of `burst` kbit (0: default)."""

    def group(self, spec: GroupSpec) -> int:
        """Return the id of the group with that specification, making it if there is none."""


def logical_table(ctx: Context, pipeline: Pipeline | None, table: int | None) -> int:
    """Return the OpenFlow table of a logical one.

    Arguments:
        ctx: where the flow stands.
        pipeline: the table's; None for the flow's own.
        table: from 0; None for the one after the flow's own.

    Raises:
        FieldError: there is no such table.
    """
    number = ctx.table + 1 if table is None else table
    if number >= PIPELINE_LENGTH:
        raise FieldError(f'"next" action cannot advance beyond table {PIPELINE_LENGTH - 1}.')
    chosen = ctx.pipeline if pipeline is None else pipeline
    return number + (OFTable.LOG_INGRESS_PIPELINE if chosen == "ingress" else OFTable.LOG_EGRESS_PIPELINE)
