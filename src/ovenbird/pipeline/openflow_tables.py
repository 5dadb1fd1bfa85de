"""OpenFlow's tables on a chassis, under OVN's names (ovn-architecture(7), "Life Cycle of a Packet").

The stages of the logical pipelines have a range of tables each. The numbers follow from where a range begins and from
the order of names; they come out as OVN 23.03's, so that flows of ours and of the original read alike.
"""

from __future__ import annotations

from enum import IntEnum, auto

PIPELINE_LENGTH = 29
"""The most stages that a pipeline may have, of ours or of the original's."""


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
    FLOOD_PIECE = 127  # of this project alone, and far from where the original's tables go
