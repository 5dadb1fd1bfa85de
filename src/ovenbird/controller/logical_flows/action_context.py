"""The context in which a logical action is encoded: its flow and datapath, DHCP options, meters and groups."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovenbird.controller.facts import GROUP, METER, cookie_of
from ovenbird.controller.local.bridge import zero_snat
from ovenbird.controller.local.local_data import is_chassis_resident
from ovenbird.controller.local.northd_dialect import consolidates_registers
from ovenbird.controller.local.settings import integration_bridge
from ovenbird.controller.logical_flows.meters import METER_IDS, meter_number
from ovenbird.controller.logical_flows.names import port_key, tunnel_ofport
from ovenbird.engine.ids import Pool
from ovenbird.engine.lookups import rows
from ovenbird.engine.views import view
from ovenbird.lang.actions.context import GroupSpec, OptionType
from ovenbird.model.sb import (
    DatapathBinding,
    DHCPOptions,
    DHCPv6Options,
    LogicalFlow,
)
from ovenbird.model.vswitch import FlowSampleCollectorSet
from ovenbird.pipeline.stages import Pipeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.engine.facts import Fact


GROUPS = Pool("group id", 1, 0xFFFFFF00)
"""Ids of OpenFlow groups, by their contents: flows with equal groups share one."""


@view
def dhcp_options() -> dict[str, OptionType]:
    """Return the DHCPv4 options that actions may name."""
    return {row.name: OptionType(row.code, row.type) for row in rows(DHCPOptions)}


@view
def dhcpv6_options() -> dict[str, OptionType]:
    """Return the DHCPv6 options that actions may name."""
    return {row.name: OptionType(row.code, row.type) for row in rows(DHCPv6Options)}


@view
def collector_sets() -> frozenset[int]:
    """Return the sets of IPFIX collectors that the integration bridge has (ovs-vswitchd.conf.db(5))."""
    bridge = integration_bridge()
    found = rows(FlowSampleCollectorSet) if bridge is not None else ()
    return frozenset(each.id for each in found if each.bridge is bridge)


class FlowContext:
    """The logical flow around an action: `lang.actions.context.Context` of this chassis.

    Attributes:
        asked: whether the actions mean something else for other flows or at other times.
        is_local_to_datapath: whether they mean something else in other datapaths of the flow.
        needs: the groups and meters that they refer to.
    """

    __slots__ = (
        "asked", "consolidates_registers", "datapath", "flow", "is_local_to_datapath", "is_switch", "needs",
        "pipeline", "table", "zero_snat",
    )  # fmt: skip

    def __init__(self, flow: LogicalFlow, datapath: DatapathBinding) -> None:
        self.flow = flow
        self.pipeline = Pipeline.INGRESS if flow.pipeline == "ingress" else Pipeline.EGRESS
        self.table = flow.table_id
        self.datapath = datapath
        self.is_switch = is_switch(datapath)
        self.zero_snat = zero_snat()
        self.consolidates_registers = consolidates_registers()
        self.asked = False
        self.is_local_to_datapath = False
        self.needs: list[Fact] = []

    @property
    def cookie(self) -> int:
        """The first 32 bits of the flow's UUID."""
        self.asked = True
        return cookie_of(self.flow)

    @property
    def datapath_key(self) -> int:
        """The tunnel key of the datapath."""
        self.asked = self.is_local_to_datapath = True
        return self.datapath.tunnel_key

    @property
    def collector_sets(self) -> frozenset[int]:
        """The sets of IPFIX collectors that the integration bridge has."""
        self.asked = True
        return collector_sets()

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
        self.asked = self.is_local_to_datapath = True
        return port_key(name, self.datapath.uuid) or 0

    def is_local(self, name: str) -> bool:
        """Return whether a port is on this chassis."""
        self.asked = True
        return is_chassis_resident(name)

    @property
    def controller_meter(self) -> int:
        """The meter of packets that the flow sends to the controller, 0 for none."""
        name = self.flow.controller_meter
        return self.meter(name) if name is not None else 0

    def meter(self, name: str) -> int:
        """Return the id of a meter, 0 when there is none by that name."""
        self.asked = True
        return meter_number(name)

    def rate_meter(self, rate: int, *, burst: int) -> int:
        """Return the id of the flow's own meter, and note that it needs it: rules of one rate do not share it."""
        self.asked = True
        number = METER_IDS.get((self.flow.uuid, rate, burst))
        self.needs.append(METER(number=number, unit="kbps", bands=((rate, burst),)))
        return number

    def group(self, spec: GroupSpec) -> int:
        """Return the id of the group with that specification, and note that the flow needs it."""
        self.asked = True
        if any(bucket.watch for bucket in spec.buckets):
            watched = [replace(each, watch_port=tunnel_ofport(each.watch)) for each in spec.buckets]
            spec = replace(spec, buckets=tuple(watched))
        number = GROUPS.get(spec)
        self.needs.append(GROUP(number=number, spec=spec))
        return number


@view
def is_switch(datapath: DatapathBinding) -> bool:
    """Return whether a datapath is a switch's."""
    return "logical-switch" in datapath.external_ids
