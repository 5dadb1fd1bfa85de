"""The catalogue: endpoints by path, extensions, and policy rules, collected from the resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.api.access.rules import NAMES
from ovenbird.api.http.advertised_routes import AdvertisedRoutes
from ovenbird.api.http.auto_allocated_topology import AutoAllocatedTopologies
from ovenbird.api.http.collection import AliasCollection, Collection, NestedCollection
from ovenbird.api.http.endpoints import EmptyCollection, Endpoint, Extensions, ReadOnlyEndpoint
from ovenbird.api.http.extensions import GENERAL
from ovenbird.api.http.flavor_requests import NextProviders, ProfilesOfFlavor
from ovenbird.api.http.port_binding_requests import PortBindingRequests
from ovenbird.api.http.quota_requests import DefaultQuotas, QuotaDetails, QuotaRequests
from ovenbird.api.http.router_scheduling import HostedRouters, HostingAgents
from ovenbird.api.resources import EMPTY, READ_ONLY, RESOURCES
from ovenbird.api.resources.agent import Agents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api.databases import Databases
    from ovenbird.api.read_only_resource import ReadOnlyResource
    from ovenbird.api.resource import Resource

_DECLARING: tuple[
    type[Resource[Any] | ReadOnlyResource | QuotaRequests | HostedRouters | ProfilesOfFlavor | PortBindingRequests], ...
] = (
    *RESOURCES,
    *READ_ONLY,
    QuotaRequests,
    HostedRouters,
    ProfilesOfFlavor,
    PortBindingRequests,
)

EXTENSIONS: dict[str, str] = GENERAL | {alias: name for kind in _DECLARING for alias, name in kind.extensions.items()}
"""The API's extensions: name by alias."""

RULES: dict[str, str] = NAMES | {
    name: rule for kind in (*_DECLARING, AutoAllocatedTopologies) for name, rule in kind.rules.items()
}
"""The default policy: rule by name."""


class Catalogue:
    """Every endpoint over some databases.

    Arguments:
        databases: which.
    """

    def __init__(self, databases: Databases) -> None:
        made = {kind.collection: kind(databases) for kind in RESOURCES}
        self.resources: Mapping[str, Resource[Any]] = made
        """Every writable resource, by collection."""
        self.collections: dict[str, Collection[Any]] = {
            one.path: (AliasCollection if one.alias else Collection)(one, made)
            for one in made.values()
            if not one.within
        }
        """Resources by URL."""
        self.tagged = {
            name: one
            for path, one in self.collections.items()
            if one.resource.taggable
            for name in (path, path.rpartition("/")[2])
        }
        """Resources with tags by URL; Neutron has the tags of `qos/policies` at `policies/ID/tags`."""
        agents = Agents(databases)
        self.endpoints: dict[str, Endpoint] = {
            **self.collections,
            **{kind.path or kind.collection: ReadOnlyEndpoint(kind(databases)) for kind in READ_ONLY},
            **{path: EmptyCollection(collection) for path, collection in EMPTY.items()},
            "extensions": Extensions(EXTENSIONS),
            "quotas": QuotaRequests(databases.quotas),
            "auto-allocated-topology": AutoAllocatedTopologies(databases),
        }
        """All endpoints by URL."""
        self.nested: dict[tuple[str, str], Endpoint] = {
            **{(made[one.within].path, one.path): NestedCollection(one, made) for one in made.values() if one.within},
            ("flavors", "service_profiles"): ProfilesOfFlavor(databases),
            ("flavors", "next_providers"): NextProviders(databases),
            ("bgp-speakers", "get_advertised_routes"): AdvertisedRoutes(databases),
            ("agents", "l3-routers"): HostedRouters(databases, agents, made["routers"]),
            ("routers", "l3-agents"): HostingAgents(databases, agents, made["routers"]),
            ("ports", "bindings"): PortBindingRequests(databases),
            ("quotas", "default"): DefaultQuotas(databases.quotas),
            ("quotas", "details"): QuotaDetails(databases.quotas),
        }
        """Nested endpoints, by the URLs of the parent and of themselves."""
