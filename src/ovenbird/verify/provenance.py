"""What a logical flow was made for: its Northbound row, and the Neutron resource that this row was made for.

Flows carry the first eight digits of a Northbound row's UUID (`stage-hint`, ovn-northd(8)), or of a Southbound row's
that a chassis has written, such as a learned route. The features that make the flows describe these rows in words
(``pipeline.explanations``). Rows made for Neutron carry the UUIDs of its objects (`neutron:security_group_rule_id`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.dataclass import dataclass
from ovenbird.engine.rows import UUID
from ovenbird.model import cloud, nb
from ovenbird.pipeline.explanations import NOTHING, HintedTable

if TYPE_CHECKING:
    from ovenbird.engine.rows import Row, Store
    from ovenbird.model import sb
    from ovenbird.pipeline.explanations import Explanations

_RULE = "neutron:security_group_rule_id"
_FLOATING = "neutron:fip_id"


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a flow.

    Arguments:
        northbound: the Northbound row, if it is known; of what chassis report, the Southbound row.
        table: the explanation of the row's table.
        owners: names of the switches, port groups and routers that the row belongs to.
        rule: the security group rule, if the row was made for one and Cloud is at hand.
    """

    northbound: Row | None
    table: HintedTable | None = None
    owners: tuple[str, ...] = ()
    rule: cloud.SecurityGroupRule | None = None

    def __bool__(self) -> bool:
        return self.northbound is not None

    def __str__(self) -> str:
        row = self.northbound
        if row is None:
            return ""
        table = self.table
        what, says = table.sentence(row) if table is not None and table.sentence is not None else _named(row)
        if self.rule is not None:
            return f"{describe_rule(self.rule)}, by {what}"
        if isinstance(row, nb.ACL) and _RULE in row.external_ids:
            return f"security group rule {row.external_ids[_RULE]}, by {what}: {says}"
        if isinstance(row, nb.NAT) and _FLOATING in row.external_ids:
            what = f"floating IP {row.external_ids[_FLOATING]}, by {what}"
        if table is not None and table.owners:
            what += f" of {' and '.join(self.owners) or 'no row'}"
        return f"{what}: {says}" if says else what

    def to_json(self) -> dict[str, Any]:
        """Return the origin for programs."""
        found: dict[str, Any] = {"text": str(self)}
        row = self.northbound
        if row is not None:
            found |= {"table": row.TABLE, "uuid": row.uuid, "name": _name(row)}
            if isinstance(row, nb.ACL) and _RULE in row.external_ids:
                found["security_group_rule"] = row.external_ids[_RULE]
        if self.rule is not None:
            found["security_group"] = cloud.SecurityGroupRule.security_group.raw(self.rule)
        return found


class Provenance:
    """Finds the origins of flows in the available databases.

    Arguments:
        explanations: the features' explanations of their flows.
        northbound: Northbound's rows, if at hand: what `tables_of` names.
        southbound: Southbound's, if at hand: flows are also made for what chassis report there.
        cloud_store: Cloud's rows, if at hand.
    """

    def __init__(
        self,
        explanations: Explanations = NOTHING,
        *,
        northbound: Store | None = None,
        southbound: Store | None = None,
        cloud_store: Store | None = None,
    ) -> None:
        self._drops = explanations.drops
        self._tables = hinted(explanations)
        self._cloud = cloud_store
        self._by_hint: dict[str, Row] = {}
        for store in (northbound, southbound):
            for row_class in self._tables if store is not None else ():
                for row in store.table(row_class).rows.values() if store is not None and store.has(row_class) else ():
                    self._by_hint.setdefault(row.uuid[:8], row)

    def of(self, flow: sb.LogicalFlow) -> Origin:
        """Return the origin of a flow."""
        row = self._by_hint.get(flow.external_ids.get("stage-hint", ""))
        if row is None:
            return Origin(None)
        table = self._tables[type(row)]
        owners = [owner for column in table.owners for owner in row.referrers(column)]
        names = tuple(sorted(f"{_noun(owner)} {owner['name']}" for owner in owners))
        rule = None
        if self._cloud is not None and isinstance(row, nb.ACL) and _RULE in row.external_ids:
            rule = self._cloud.table(cloud.SecurityGroupRule).rows.get(UUID(row.external_ids[_RULE]))
        return Origin(row, table, names, rule)

    def explain(self, stage: str, *, priority: int | None = None, refused: str = "") -> str:
        """Return why a flow without a hint drops packets in a stage; empty if that is unknown.

        Arguments:
            stage: the stage's name.
            priority: the flow's.
            refused: the port security that the packet violates, if any.
        """
        if refused and stage.endswith("apply_port_sec"):
            return refused
        return self._drops.get((stage, priority)) or self._drops.get((stage, None), "")


def hinted(explanations: Explanations) -> dict[type[Row], HintedTable]:
    """Return the tables that hints refer to, with their explanations."""
    return {table.row_class: table for table in (*THEIRS, *explanations.tables)}


def tables_of(explanations: Explanations) -> tuple[type[Row], ...]:
    """Return the tables of Northbound for origins: those that hints refer to, and those of owners."""
    tables = hinted(explanations)
    owners = [column.owner for table in tables.values() for column in table.owners]
    return tuple(row_class for row_class in dict.fromkeys((*tables, *owners)) if row_class in nb.ROWS)


def describe_rule(rule: cloud.SecurityGroupRule) -> str:
    """Describe a security group rule."""
    what = [rule.direction, rule.ethertype, rule.protocol or "any protocol"]
    if rule.port_range_min is not None:
        ports = {rule.port_range_min, rule.port_range_max if rule.port_range_max is not None else rule.port_range_min}
        what.append("port " + "-".join(str(p) for p in sorted(ports)))
    if rule.remote_ip_prefix:
        what.append(f"remote {rule.remote_ip_prefix}")
    if (other := rule.remote_group) is not None:
        what.append(f"remote group {other.name}")
    return f"security group rule {rule.uuid} ({', '.join(what)}) of {rule.security_group.name}"


def _name(row: Row) -> str:
    """Return a row's name, and behind it its display name; its UUID if it has no name."""
    columns = type(row).BY_NAME
    name: str = (row["name"] if "name" in columns else "") or row.uuid
    ids: dict[str, str] = row["external_ids"] if "external_ids" in columns else {}
    friendly = ids.get("neutron:port_name") or ids.get("neutron:network_name")
    return f"{name} ({friendly})" if friendly else name


def _noun(row: Row) -> str:
    return row.TABLE.lower().replace("_", " ")


def _named(row: Row) -> tuple[str, str]:
    return f"{_noun(row)} {_name(row)}", ""


THEIRS = (HintedTable(nb.LogicalSwitch),)
"""Tables that the hints of ovn-northd refer to, and ours do not."""
