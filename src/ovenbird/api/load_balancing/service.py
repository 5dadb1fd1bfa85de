"""What the resources of load balancing have in common: attributes, times, and what a request may leave out or empty."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

from ovenbird.api import attributes
from ovenbird.api.attributes import REQUIRED, UNSET, Attribute, shown
from ovenbird.api.errors.load_balancing import InvalidSubresource, LoadBalancingNotFound, UnsupportedOption
from ovenbird.api.resource import Resource, timestamp
from ovenbird.api.values import list_of, text
from ovenbird.api.values import uuid as uuid_value
from ovenbird.engine.rows import UUID, Row
from ovenbird.model.cloud import Subnet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovenbird.api.databases import Databases
    from ovenbird.model.load_balancing import LoadBalancer

R = TypeVar("R", bound=Row)

OVN = "ovn"
"""The name of the one provider."""

PROTOCOLS = ("TCP", "UDP", "SCTP")
OTHER_PROTOCOLS = ("HTTP", "HTTPS", "TERMINATED_HTTPS", "PROXY", "PROXYV2", "PROMETHEUS")
"""Protocols that Octavia has, and its `ovn` provider has not."""

ACTIVE = "ACTIVE"

MOST_LABELS = 200
"""The largest number of tags; Octavia has no limit, and its users have more than Neutron allows."""

STATES: dict[str, Attribute] = {"provisioning_status": shown(), "operating_status": shown()}
COMMON: dict[str, Attribute] = {
    "id": shown(uuid_value),
    "project_id": Attribute(text(36), put=False),
    "name": Attribute(text(), default="", column="name"),
    "created_at": shown(),
    "updated_at": shown(),
    "tags": Attribute(list_of(text(), most=MOST_LABELS), default=[], filterable=False),
    **STATES,
}
"""Attributes of every resource."""

DESCRIBED = {"description": Attribute(text(), default="", column="description")}


class Site(NamedTuple):
    """What the parts of a load balancer, which may be new, have to know about it.

    Arguments:
        uuid: its id.
        project: its project.
        subnets: the subnets of its virtual addresses, its main one first.
    """

    uuid: UUID
    project: str
    subnets: tuple[Subnet, ...]

    @property
    def versions(self) -> frozenset[int]:
        """The IP versions of its virtual addresses."""
        return frozenset(6 if ":" in subnet.cidr else 4 for subnet in self.subnets)


def site(row: LoadBalancer) -> Site:
    """Return what the parts of a load balancer have to know about it."""
    addresses = (row.vip, *row.additional_vips)
    return Site(row.uuid, row.project_id, tuple([address.subnet for address in addresses]))


def unsupported(what: str, *unset: Any) -> Callable[[Any], Any]:
    """Make a converter of an attribute that Octavia has and its `ovn` provider has not.

    Arguments:
        what: the attribute.
        unset: the values that mean that the option is not used.
    """

    def convert(value: Any) -> Any:
        if not any(value == one and type(value) is type(one) for one in (None, [], {}, "", False, *unset)):
            raise UnsupportedOption(reason=f"{what} is not supported")
        return unset[0] if unset else value

    return convert


def unused(what: str, *unset: Any) -> Attribute:
    """Return an attribute that Octavia has and its `ovn` provider has not."""
    return Attribute(unsupported(what, *unset), filterable=False)


def choice(what: str, known: Iterable[str], *, others: Iterable[str]) -> Callable[[Any], str]:
    """Make a converter of words of which Octavia has more than its `ovn` provider.

    Arguments:
        what: the attribute.
        known: the words that are accepted.
        others: those that only other providers accept.
    """
    taken, refused = tuple(known), frozenset(others)

    def convert(value: Any) -> str:
        if isinstance(value, str) and value in refused:
            raise UnsupportedOption(reason=f"{what} {value} is not supported; supported are {', '.join(taken)}")
        if value not in taken:
            raise ValueError(f"Value should be one of: {', '.join((*taken, *sorted(refused)))}")
        return str(value)

    return convert


class BalancingResource(Resource[R]):
    """One kind of resource of load balancing.

    Arguments:
        databases: where its rows are.
    """

    title: ClassVar[str]
    """Its name in messages."""
    not_found = LoadBalancingNotFound
    wanted: ClassVar[Mapping[str, str]] = {}
    """What the resources that it refers to are called in messages, by the attribute in `references`."""

    def __init__(self, databases: Databases) -> None:
        super().__init__(databases)
        self.filterable["tags"] = None

    def get(self, uuid: str) -> R:
        """Return the row with an id.

        Raises:
            LoadBalancingNotFound: there is none.
        """
        row = self.table.get(UUID(uuid)) or self.table.get(UUID(uuid.lower()))
        if row is None:
            raise LoadBalancingNotFound(resource=self.title, id=uuid)
        return row

    def parse(self, given: Mapping[str, Any], *, creating: bool) -> dict[str, Any]:
        """Return a request's attributes, converted; null stands for the default.

        Raises:
            NeutronError: an attribute is unknown, missing or invalid.
        """
        if creating:
            values = {name: value for name, value in given.items() if value is not None}
        else:
            values = {name: self._default(name) if value is None else value for name, value in given.items()}
        return attributes.parse(self.attributes, values, creating=creating)

    def _default(self, name: str) -> Any:
        attribute = self.attributes.get(name)
        return None if attribute is None or attribute.default in (REQUIRED, UNSET) else attribute.default

    def stored(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that are stored as they are, by column."""
        tags = {"tags": frozenset(values["tags"])} if "tags" in values else {}
        return super().stored(values) | tags

    def common(self, row: Any) -> dict[str, Any]:
        """Return the attributes of every resource."""
        return {
            "id": row.uuid,
            "project_id": row.project_id,
            "name": row.name,
            "created_at": _time(row.created_at),
            "updated_at": _time(row.updated_at),
            "tags": sorted(row.tags),
            "provisioning_status": ACTIVE,
        }

    def remains(self, row: R) -> dict[str, Any]:
        """Return what can be said of a row that cannot be shown."""
        return super().remains(row) | {"provisioning_status": "ERROR", "operating_status": "ERROR"}

    def facts(self, row: R) -> dict[str, Any]:
        """Return what a list can be filtered by besides what is shown."""
        del row
        return {}

    def created(self, row: R) -> dict[str, Any]:
        """Return what the answer to a creation shows."""
        return self.renderings.of(row).value

    @abstractmethod
    def full(self, row: R) -> dict[str, Any]:
        """Return a resource with its parts, as the creation of a whole load balancer shows it."""

    def subnet(self, uuid: str) -> Subnet:
        """Return a subnet that a request names.

        Raises:
            InvalidSubresource: there is none.
        """
        found = self.databases.store.table(Subnet).get(UUID(uuid))
        if found is None:
            raise InvalidSubresource(resource="Subnet", id=uuid)
        return found


def _time(seconds: int) -> str:
    return timestamp(seconds).removesuffix("Z")


def ids(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return references to resources, as they are shown."""
    return [{"id": uuid} for uuid in sorted(row.uuid for row in rows)]
