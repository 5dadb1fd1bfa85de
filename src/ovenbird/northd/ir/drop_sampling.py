"""Sampling of dropped packets: what flows do instead of `drop;` where Northbound asks for it.

ovn-nb(5), NB_Global, `debug_drop_domain_id` and `debug_drop_collector_set`; ovn-northd(8), "Drop sampling".
"""

from __future__ import annotations

from ovenbird.engine.lookups import rows
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import number

DROP = "drop;"

_MAX_DOMAIN, _MAX_SET = 0xFE, 0xFFFF_FFFF
"""As the original has them."""


@view
def dropping() -> str:
    """Return what a flow does that drops packets: `drop;`, or a sample of each packet, to IPFIX collectors.

    Both options have to be numbers in their ranges. The point of observation is the flow's cookie.
    """
    for row in rows(nb.NBGlobal):
        domain = number(row.options, "debug_drop_domain_id", high=_MAX_DOMAIN)
        collectors = number(row.options, "debug_drop_collector_set", high=_MAX_SET)
        if domain is not None and collectors is not None:
            where = f"collector_set={collectors},obs_domain={domain},obs_point=$cookie"
            return f"sample(probability=65535,{where}); /* drop */"
    return DROP
