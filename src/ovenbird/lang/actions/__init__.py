"""OVN's logical actions, one class each: parse, format, encode, evaluate (ovn-sb(5), Logical_Flow, actions).

`registry` knows them all, `cursor` the grammar around them; `context` is what encoding needs to know, `machine` what
evaluation does, `userdata` what a flow tells the controller with a packet; `layout` says where registers are.
"""

from ovenbird.lang.actions.action import Action, Actions, encode_all, format_all, guarded
from ovenbird.lang.actions.context import Bucket, Context, GroupSpec, OptionType
from ovenbird.lang.actions.machine import Check, Machine, Translation, Zone, run
from ovenbird.lang.actions.registry import FUNCTIONS, STATEMENTS, parse_actions
from ovenbird.lang.actions.userdata import Opcode, Userdata

__all__ = [
    "FUNCTIONS", "STATEMENTS", "Action", "Actions", "Bucket", "Check", "Context",
    "GroupSpec", "Machine", "Opcode", "OptionType", "Translation", "Userdata", "Zone",
    "encode_all", "format_all", "guarded", "parse_actions", "run",
]  # fmt: skip
