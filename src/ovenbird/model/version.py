"""The internal version: whether a northd and a controller understand each other's logical flows.

northd writes it into SB_Global.options:northd_internal_version; a controller with
`external_ids:ovn-match-northd-version=true` processes no changes while it differs from its own (ovn-controller(8)). It
is incremented with every change that makes the two incompatible.
"""

INTERNAL = "ovenbird-1"
