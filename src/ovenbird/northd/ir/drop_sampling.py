"""Sampling of dropped packets: the actions that replace `drop;` if it is configured in Northbound.

ovn-nb(5), NB_Global, `debug_drop_domain_id` and `debug_drop_collector_set`; ovn-northd(8), "Drop sampling". The number
of the application `drop` in Sampling_App precedes the first of these options, as in OVN since 24.09.
"""

from __future__ import annotations

from ovenbird.engine.lookups import find, rows
from ovenbird.engine.views import view
from ovenbird.model import nb
from ovenbird.model.options import number

DROP = "drop;"

_MAX_DOMAIN, _MAX_SET = 0xFE, 0xFFFF_FFFF
"""The largest domain and collector set, as in OVN."""


@view
def dropping() -> str:
    """Return the actions of a flow that drops packets: `drop;`, or a sample of each packet to IPFIX collectors.

    Sampling requires a set of collectors and a domain, numbers in their ranges. The observation point is the flow's
    cookie.
    """
    for row in rows(nb.NBGlobal):
        app = find(nb.SamplingApp.type, "drop")
        domain = app.id if app is not None else number(row.options, "debug_drop_domain_id", high=_MAX_DOMAIN)
        collectors = number(row.options, "debug_drop_collector_set", high=_MAX_SET)
        if domain is not None and collectors is not None:
            where = f"collector_set={collectors},obs_domain={domain},obs_point=$cookie"
            return f"sample(probability=65535,{where}); /* drop */"
    return DROP
