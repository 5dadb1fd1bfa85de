"""The internal version: which northd and which controller understand each other's logical flows.

northd writes it into SB_Global.options:northd_internal_version; a controller with
`external_ids:ovn-match-northd-version=true` takes in no changes while it is another than its own (ovn-controller(8)).
It goes up with every change after which one of the two could not follow the other.
"""

INTERNAL = "ovenbird-1"
