"""What depends on the release of the northd that has written Southbound.

Since OVN 25.03 a load balancer's address and port are in the same registers in switches and routers, in which also the
backend of a client is found. Northd says in `options:register_consolidation` of SB_Global that its flows are such.
"""

from __future__ import annotations

from ovenbird.engine.lookups import rows
from ovenbird.engine.views import view
from ovenbird.model.options import flag
from ovenbird.model.sb import SBGlobal


@view
def consolidates_registers() -> bool:
    """Return whether the logical flows of load balancers use registers as those of OVN 25.03 do."""
    found = rows(SBGlobal)
    return bool(found) and flag(found[0].options, "register_consolidation")
