"""OVN's logical actions, one class each: parse, format, encode, evaluate (ovn-sb(5), Logical_Flow, actions).

`registry` lists them all, and `cursor` has the grammar of lists and blocks. `context` is the interface that encoding
reads, `machine` the one that evaluation acts on; `userdata` is the data of packet-ins; `layout` maps symbols to
registers.
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
