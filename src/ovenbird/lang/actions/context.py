"""The context in which an action is encoded: one logical flow on one chassis.

The encoding is a pure function of action and context: equal actions in equal contexts have equal encodings, so a caller
may cache them by the actions and the values that were read from the context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ovenbird.dataclass import dataclass
from ovenbird.lang.errors import FieldError
from ovenbird.pipeline.openflow_tables import openflow_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.openflow.actions import Action as OpenFlowAction
    from ovenbird.pipeline.stages import Pipeline


@dataclass(frozen=True, slots=True)
class Bucket:
    """One alternative of a group, taken in proportion to `weight`.

    Arguments:
        actions: the actions of the bucket.
        weight: its share relative to the other buckets.
        watch: the logical port that must be reachable for the bucket to be used; None for no such condition.
        watch_port: the OpenFlow port whose link must be up, 0 for none; the chassis sets it according to `watch`.
    """

    actions: tuple[OpenFlowAction, ...]
    weight: int = 100
    watch: str = ""
    watch_port: int = 0


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """An OpenFlow group of type select; equal specifications share one group.

    Buckets are chosen by the datapath's hash, or by that of `hash_fields` (names of ovs-fields(7)) when there are any;
    `symmetric` selects a hash that is the same in both directions of a connection.
    """

    buckets: tuple[Bucket, ...]
    hash_fields: tuple[str, ...] = ()
    symmetric: bool = False


@dataclass(frozen=True, slots=True)
class OptionType:
    """A row of Southbound's DHCP_Options or DHCPv6_Options: the option's code and the type of its value."""

    code: int
    type: str


class Context(Protocol):
    """The logical flow that holds an action, and the values of the names in it."""

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
        """Whether `ct_commit` has a source NAT without an address, to avoid equal tuples (OVN's `ct_zero_snat`)."""

    @property
    def consolidates_registers(self) -> bool:
        """Whether flows find a client's backend in reg4 or xxreg1 and reg2, as in OVN 25.03, in place of reg8."""

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
        """Return the tunnel key of a port or multicast group of the datapath; 0 if there is none by that name."""

    def is_local(self, name: str) -> bool:
        """Return whether a port is on this chassis."""

    def meter(self, name: str) -> int:
        """Return the id of the meter of that name, 0 when there is none."""

    def rate_meter(self, rate: int, *, burst: int) -> int:
        """Return the id of a meter that drops above `rate` kbps with bursts of `burst` kbit (0: default)."""

    def group(self, spec: GroupSpec) -> int:
        """Return the id of the group with that specification; create the group if there is none."""


def logical_table(ctx: Context, pipeline: Pipeline | None, table: int | None) -> int:
    """Return the OpenFlow table of a logical table.

    Arguments:
        ctx: the flow's context.
        pipeline: the table's pipeline; None for the flow's own.
        table: from 0; None for the table after the flow's own.

    Raises:
        FieldError: the pipeline has no such table.
    """
    number = ctx.table + 1 if table is None else table
    chosen = ctx.pipeline if pipeline is None else pipeline
    try:
        return openflow_table(chosen, number)
    except ValueError as error:
        raise FieldError(f'"next" cannot go on: {error}.') from None
