"""OpenFlow's tables on a chassis, under OVN's names (ovn-architecture(7), "Life Cycle of a Packet").

Each logical pipeline has a range of tables for its stages. The numbers follow from the start of a range and the order
of the names; they are the same as in OVN 23.03, so that the flows of both can be compared.
"""

from __future__ import annotations

from enum import IntEnum, auto

PIPELINE_LENGTH = 29
"""The largest number of stages of a pipeline, here and in OVN."""


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
    FLOOD_PIECE = 127  # unknown to OVN, and far above OVN's tables
