"""The base of resources: attributes, the rendering of a row, and what create, update and delete do.

A resource declares its names, attributes and their columns, extensions, policy rules and parent. To add a resource, add
a file with a subclass in ``resources/`` and its line in ``resources/__init__.py``; `http/catalogue` collects the rest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from ovenbird.api.access.sharing import EVERY_PROJECT, FACTS, POLICIES_ABOUT, SHARED, shares
from ovenbird.api.attributes import ALIASES, Attribute, filterable, shown
from ovenbird.api.errors.request import HTTPBadRequest, RevisionNumberConstraintFailed
from ovenbird.api.rendering import Renderings
from ovenbird.api.values import integer, text, uuid
from ovenbird.engine.rows import UUID, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovenbird.api.access.auth import Caller
    from ovenbird.api.databases import Databases, Draft
    from ovenbird.api.errors.base import NotFound
    from ovenbird.api.query import Wanted
    from ovenbird.engine.rows import ColumnOf, Table

R = TypeVar("R", bound=Row)

STANDARD: dict[str, Attribute] = {
    "id": shown(uuid),
    "project_id": Attribute(text(), put=False),
    "description": Attribute(text(), default="", column="description"),
    "created_at": shown(),
    "updated_at": shown(),
    "revision_number": shown(integer()),
}
"""Attributes of every resource. ``tags`` are changed by separate requests."""

MOST_TAGS = 50
"""Maximum tags of one resource; Neutron's limit."""

LATEST = 253_402_300_799
"""The last second of the year 9999."""

PARENTAL = {"project_id": "project_id", "tenant_id": "project_id"}
"""The column of each field of a parent that policy rules can read, besides whether it is shared."""


class Parent(NamedTuple):
    """The parent of a resource.

    Arguments:
        attribute: the attribute of the resource that has the parent's id; it need not be shown.
        column: the resource's column that refers to the parent.
        called: its name in policy rules.
        rows: the kind of its rows.
    """

    attribute: str
    column: str
    called: str
    rows: type[Row]


class Resource(ABC, Generic[R]):
    """One kind of resource.

    Arguments:
        databases: where its rows are.
    """

    member: ClassVar[str]
    """Its name in bodies, singular."""
    collection: ClassVar[str]
    """Its name in bodies, plural."""
    row_class: ClassVar[type[Row]]
    not_found: ClassVar[type[NotFound]]
    attributes: ClassVar[Mapping[str, Attribute]]
    indexed: ClassVar[Mapping[str, ColumnOf[Any, Any]]] = {}
    """The indexed column of each attribute by which rows can be looked up."""
    unshown: ClassVar[frozenset[str]] = frozenset()
    """Filters that are not attributes: facts about the parent, read by `reader`."""
    taggable: ClassVar[bool] = True
    parent: ClassVar[Parent | None] = None
    """Its parent, whose fields policy rules can read."""
    within: ClassVar[str] = ""
    """For a nested resource, the parent's collection: `/v2.0/floatingips/ID/port_forwardings`."""
    alias: ClassVar[bool] = False
    """Whether another resource has the same rows: at this one's address none are listed and made."""
    path: ClassVar[str]
    """The collection's name in URLs; by default its name with - for _."""
    policy_name: ClassVar[str]
    """Its name in policy rules; by default its name in bodies."""
    extensions: ClassVar[Mapping[str, str]] = {}
    """The API extensions that it implements: name by alias."""
    rules: ClassVar[Mapping[str, str]] = {}
    """Its default policy rules, by Neutron's names (`access/rules`)."""
    references: ClassVar[Mapping[str, str]] = {}
    """The collection of each attribute whose resource the caller must see; ``A.B`` is B in A's items."""
    actions: ClassVar[Mapping[str, str]] = {}
    """Method of each action, by its name in addresses: it takes the draft, the row and the request's body, and returns
    the answer, or None for the resource as it then is."""
    answers_bare: ClassVar[bool] = False
    """Whether the answer to an action is the resource itself, not an object that has it under its name."""
    reads: ClassVar[Mapping[str, str]] = {}
    """Method of each part that is read at an address of its own, by its name there: it takes the row and returns the
    answer."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "collection" not in vars(cls):  # what several resources have in common
            return
        if "path" not in vars(cls):
            cls.path = cls.collection.replace("_", "-")
        if "policy_name" not in vars(cls):
            cls.policy_name = cls.member

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.renderings = Renderings(self.render, remains=self.remains)
        self.filterable = filterable(self.attributes) | dict.fromkeys(self.unshown, None)
        self._columns = {name: attribute.column for name, attribute in self.attributes.items() if attribute.column}

    @property
    def table(self) -> Table[R]:
        """The rows."""
        found: Table[R] = self.databases.store.table(self.row_class)  # type: ignore[arg-type]  # R is row_class's
        return found

    def get(self, uuid: str) -> R:
        """Return the row with an id, in either case of its letters.

        Raises:
            NotFound: there is none; the subclass that this resource names.
        """
        row = self.table.get(UUID(uuid)) or self.table.get(UUID(uuid.lower()))
        if row is None:
            raise self.not_found(id=uuid)
        return row

    def candidates(self, filters: Mapping[str, Wanted]) -> Iterable[R]:
        """Return rows that include all that the filters match; by an index, if one applies."""
        table = self.table
        if "id" in filters:
            return [row for uuid in filters["id"] if (row := table.get(UUID(uuid))) is not None]
        for name, column in self.indexed.items():
            if name in filters:
                return [row for value in filters[name] for row in table.select(column, value)]
        return table.rows.values()

    def stored(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that are stored unchanged, by column.

        Arguments:
            values: parsed attributes, by name.
        """
        columns = self._columns
        return {columns[name]: value for name, value in values.items() if name in columns}

    def check_revision(self, row: R, wanted: int | None) -> None:
        """Check the revision that If-Match names.

        Raises:
            RevisionNumberConstraintFailed: the row has another.
        """
        if wanted is not None and row["revision_number"] != wanted:
            raise RevisionNumberConstraintFailed(expected=wanted, current=row["revision_number"])

    def reader(self, name: str, *, project: str) -> Callable[[Mapping[str, Any]], Any]:
        """Return a reader of a field that policy rules use: of the resource, or of its parent.

        Whether a resource is shared is read for the caller's project.

        Arguments:
            name: the name in Neutron's rules: ``project_id``, ``network:project_id``, ``shared``.
            project: the caller's project.

        Returns:
            A function of the resource, as it is shown or as a request gives it; KeyError where there is no such fact.
        """
        name = ALIASES.get(name, name)
        if name in FACTS and (access := self._access(FACTS[name], project=project)) is not None:
            return access
        if self.parent is None or name in self.attributes:
            return lambda values: values[name]
        parent, rows = self.parent, self.parent.rows
        column = PARENTAL.get(name.removeprefix(f"{parent.called}:").removeprefix("ext_parent:"), "")
        if column not in rows.BY_NAME:
            return lambda values: values[name]
        get, raw = self.databases.store.table(rows).get, rows.BY_NAME[column].raw
        find, attribute, unshown = self.table.get, parent.attribute, parent.attribute not in self.attributes
        reference = self.row_class.BY_NAME[parent.column].raw

        def of_parent(values: Mapping[str, Any]) -> Any:
            if unshown and attribute not in values:
                mine = find(values["id"])
                row = get(reference(mine)) if mine is not None else None
            else:
                row = get(values[attribute])
            if row is None:
                raise KeyError(name)
            return raw(row)

        return of_parent

    def _access(self, action: str, *, project: str) -> Callable[[Mapping[str, Any]], bool] | None:
        """Return a reader of whether a project is given an access to the resource, or to its parent; None for others.

        Arguments:
            action: the access.
            project: the project.
        """
        rows, attribute = self.row_class, "id"
        if rows not in POLICIES_ABOUT and self.parent is not None:
            rows, attribute = self.parent.rows, self.parent.attribute
        if rows not in POLICIES_ABOUT:
            return None
        store = self.databases.store
        if attribute == "id" and action == SHARED:  # what every project has is rendered
            mine = shares(rows, store, action, targets=(project,))
            return lambda values: bool(values["shared"]) or mine(values["id"])
        given = shares(rows, store, action, targets=(project, EVERY_PROJECT))
        if attribute == "id":
            return lambda values: bool(values["router:external"]) and given(values["id"])
        return lambda values: given(values[attribute])

    def check_action(self, action: str, body: Mapping[str, Any]) -> None:
        """Check an action's body by itself, before the resources that it refers to are looked up.

        Raises:
            NeutronError: it is.
        """

    async def ensure_defaults(self, caller: Caller) -> None:
        """Make what a list for this caller has to show, if it is not there yet."""

    @abstractmethod
    def render(self, row: R) -> dict[str, Any]:
        """Return what the API shows of a row; a pure function of tracked rows."""

    def remains(self, row: R) -> dict[str, Any]:
        """Return what can be said of a row that `render` fails on: its plain columns; of other attributes nothing."""
        found: dict[str, Any] = {}
        for name, attribute in self.attributes.items():
            column = row.BY_NAME.get(name) or row.BY_NAME.get(name.removesuffix("_id"))
            value = None if column is None else column.raw(row)
            if isinstance(value, str | int):
                found[name] = readable(value) if isinstance(value, str) else value
            else:
                found[name] = attribute.default if isinstance(attribute.default, list | dict) else None
        times = {name: timestamp(row[name]) for name in ("created_at", "updated_at") if name in row.BY_NAME}
        states: dict[str, Any] = {"status": "ERROR"} if "status" in self.attributes else {}
        if self.taggable:
            states["tags"] = sorted(readable(tag) for tag in row["tags"])
        return found | times | states | {"id": row.uuid, "tenant_id": found.get("project_id")}

    @abstractmethod
    def create(self, draft: Draft, values: dict[str, Any]) -> UUID:
        """Write a new resource into a draft and return its id.

        Arguments:
            draft: the transaction.
            values: parsed attributes, defaults filled in.

        Raises:
            NeutronError: the request is refused.
        """

    @abstractmethod
    def update(self, draft: Draft, row: R, values: dict[str, Any]) -> None:
        """Write a change of a resource into a draft.

        Arguments:
            draft: the transaction.
            row: the present resource.
            values: the request's parsed attributes.

        Raises:
            NeutronError: the request is refused.
        """

    @abstractmethod
    def delete(self, draft: Draft, row: R) -> None:
        """Write the removal of a resource into a draft.

        Raises:
            NeutronError: it cannot be deleted.
        """


def standard(row: Any) -> dict[str, Any]:
    """Return the standard attributes of a row, as the API shows them."""
    return {
        "id": row.uuid,
        "project_id": row.project_id,
        "tenant_id": row.project_id,
        "description": row.description,
        "created_at": timestamp(row.created_at),
        "updated_at": timestamp(row.updated_at),
        "revision_number": row.revision_number,
    }


def timestamp(seconds: int) -> str:
    """Return a time as the API shows it (ISO 8601, UTC); a later time than the year 9999 as its end."""
    return datetime.fromtimestamp(min(max(seconds, 0), LATEST), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def readable(text: str) -> str:
    """Return a text without unpaired surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode("utf-8")


def project_of(draft: Draft, values: Mapping[str, Any]) -> str:
    """Return the project of a new resource: that of the request, or else the caller's.

    Raises:
        HTTPBadRequest: neither has one.
    """
    project: str = values.get("project_id", draft.caller.project)
    if not project and "project_id" not in values:  # an administrator's resource may be in no project, which is ""
        raise HTTPBadRequest(reason="The request is in no project's name, and so has to give 'project_id'")
    return project
