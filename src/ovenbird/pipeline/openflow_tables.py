"""OpenFlow's tables on a chassis, under OVN's names (ovn-architecture(7), "Life Cycle of a Packet").

Each logical pipeline has a range of tables for its stages. The numbers follow from the start of a range and the order
of the names; they are the same as in OVN 23.03, so that the flows of both can be compared. Newer releases of northd
have longer ingress pipelines: their last stages are in a range behind all others.
"""

from __future__ import annotations

from enum import IntEnum, auto

from ovenbird.pipeline.stages import Pipeline

PIPELINE_LENGTH = 29
"""The largest number of stages of a pipeline, here and in OVN 23.03."""

LONGEST_PIPELINE = 33
"""The largest number of stages that a Southbound database can hold (ovn-sb(5), `table_id` of Logical_Flow)."""


class OFTable(IntEnum):
    """A table of br-int."""

    PHY_TO_LOG = 0
    LOG_INGRESS_PIPELINE = 8  # the first of a range
    OUTPUT_LARGE_PKT_DETECT = LOG_INGRESS_PIPELINE + PIPELINE_LENGTH
    OUTPUT_LARGE_PKT_PROCESS = auto()
    REMOTE_OUTPUT = auto()
    LOCAL_OUTPUT = auto()
    CHECK_LOOPBACK = auto()
    LOG_EGRESS_PIPELINE = auto()  # the first of a range
    SAVE_INPORT = 64
    LOG_TO_PHY = auto()
    MAC_BINDING = auto()
    MAC_LOOKUP = auto()
    CHK_LB_HAIRPIN = auto()
    CHK_LB_HAIRPIN_REPLY = auto()
    CT_SNAT_HAIRPIN = auto()
    GET_FDB = auto()
    LOOKUP_FDB = auto()
    CHK_IN_PORT_SEC = auto()
    CHK_IN_PORT_SEC_ND = auto()
    CHK_OUT_PORT_SEC = auto()
    ECMP_NH_MAC = auto()
    ECMP_NH = auto()
    CHK_LB_AFFINITY = auto()
    MAC_CACHE_USE = auto()  # here begin those of newer releases, with the numbers of OVN 25.03
    ORIGINAL_IP4_DST = 81
    ORIGINAL_IP6_DST = auto()
    ORIGINAL_PORT_DST = auto()
    LOG_INGRESS_REST = 90  # the first of the range of stages that OVN 23.03 has no room for
    FLOOD_PIECE = 127  # unknown to OVN, and far above OVN's tables


LONGEST_EGRESS = OFTable.SAVE_INPORT - OFTable.LOG_EGRESS_PIPELINE
"""The largest number of stages of an egress pipeline."""


def openflow_table(pipeline: Pipeline | str, table: int) -> int:
    """Return the OpenFlow table of a logical table.

    Arguments:
        pipeline: `ingress` or `egress`.
        table: from 0.

    Raises:
        ValueError: the pipeline has no such table.
    """
    if pipeline == Pipeline.INGRESS:
        if table < PIPELINE_LENGTH:
            return OFTable.LOG_INGRESS_PIPELINE + table
        if table < LONGEST_PIPELINE:
            return OFTable.LOG_INGRESS_REST + table - PIPELINE_LENGTH
    elif table < LONGEST_EGRESS:
        return OFTable.LOG_EGRESS_PIPELINE + table
    raise ValueError(f"the {pipeline} pipeline has no table {table}")


def is_egress(number: int) -> bool:
    """Return whether an OpenFlow table is that of a stage of the egress pipeline."""
    return OFTable.LOG_EGRESS_PIPELINE <= number < OFTable.SAVE_INPORT
