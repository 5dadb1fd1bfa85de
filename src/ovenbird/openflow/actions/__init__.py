"""Actions of flows, one frozen class each (OpenFlow 1.5.1, section 7.2.6; ovs-actions(7))."""

from ovenbird.openflow.actions.conntrack import Ct, CtClear, Nat
from ovenbird.openflow.actions.flow import (
    Clone,
    Conjunction,
    Exit,
    FinTimeout,
    Learn,
    LearnLoad,
    LearnMatch,
    LearnOutput,
    LearnSpec,
    Note,
)
from ovenbird.openflow.actions.modify import (
    CheckPktLarger,
    CopyField,
    DecTtl,
    DecTtlCntIds,
    DeleteField,
    PopMpls,
    PopVlan,
    PushMpls,
    PushVlan,
    SetField,
    SetTtl,
    StackPop,
    StackPush,
)
from ovenbird.openflow.actions.output import (
    Bundle,
    Controller,
    Group,
    Meter,
    Multipath,
    Output,
    OutputReg,
    OutputTrunc,
    PlainController,
    PopQueue,
    Port,
    Resubmit,
    Sample,
    SetQueue,
)
from ovenbird.openflow.actions.wire import Action, decode_actions, encode_actions

__all__ = [
    "Action", "Bundle", "CheckPktLarger", "Clone", "Conjunction", "Controller", "CopyField", "Ct", "CtClear", "DecTtl",
    "DecTtlCntIds",
    "DeleteField", "Exit", "FinTimeout", "Group", "Learn", "LearnLoad", "LearnMatch", "LearnOutput", "LearnSpec",
    "Meter", "Multipath", "Nat", "Note", "Output", "OutputReg", "OutputTrunc", "PlainController", "PopMpls", "PopQueue",
    "PopVlan", "Port", "PushMpls", "PushVlan", "Resubmit", "Sample", "SetField", "SetQueue",
    "SetTtl", "StackPop", "StackPush", "decode_actions", "encode_actions",
]  # fmt: skip
