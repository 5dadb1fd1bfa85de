"""Dynamic routing: routes that are exchanged with external networks through the kernels of gateways.

ovn-nb(5) of OVN 25.03, Logical_Router, `options:dynamic-routing`. Controllers write the rows of Advertised_Route into a
routing table of their host's kernel, from which a routing daemon such as FRR announces them. What that daemon learns,
they write into Learned_Route. With a Southbound server that lacks these tables no routes are exchanged.
"""

from __future__ import annotations

from ovenbird.model import sb
from ovenbird.northd.ir.feature import Feature
from ovenbird.northd.router import advertised_routes, learned_routes
from ovenbird.northd.router.advertised_routes import ADVERTISED_ROUTE
from ovenbird.northd.router.learned_routes import LEARNED_ROUTE
from ovenbird.pipeline.explanations import HintedTable

FEATURE = Feature(
    "dynamic_routing",
    rules=(
        *(advertised_routes.redistributing, advertised_routes.advertisers, advertised_routes.advertised_networks),
        *(advertised_routes.advertised_static_route, advertised_routes.advertised_nat),
        *(advertised_routes.advertised_balancer, learned_routes.learned_route),
    ),
    port=advertised_routes.hosts,
    concerns=advertised_routes.has_advertised_hosts,
    outputs=(ADVERTISED_ROUTE, LEARNED_ROUTE),
    hints=(HintedTable(sb.LearnedRoute, learned_routes.in_words),),
)
