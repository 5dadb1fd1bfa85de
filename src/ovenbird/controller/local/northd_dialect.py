"""Differences between the logical flows of releases of northd, as northd announces them in Southbound.

Since OVN 25.03 flows keep a load balancer's address and port, and the backend of a client, in the same registers in
switches and routers. Northd announces this by `options:register_consolidation` of SB_Global.
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
