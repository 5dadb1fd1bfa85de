"""The types of QoS rules that ports can have, and what each of them can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ovenbird.api.attributes import Attribute, shown
from ovenbird.api.qos import RULE_KINDS, SUPPORTED
from ovenbird.api.read_only_resource import ReadOnlyResource
from ovenbird.api.resources.qos_rule import DIRECTIONS, DSCP_MARKS
from ovenbird.api.values import boolean
from ovenbird.model.cloud import LARGEST_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovenbird.api import query

DRIVER = "OVNQosDriver"
"""What Neutron calls that which makes the rules work."""


def _range(name: str) -> dict[str, Any]:
    return {
        "parameter_name": name,
        "parameter_type": "range",
        "parameter_values": {"start": 0, "end": LARGEST_RATE},
    }


def _choices(name: str, *values: Any) -> dict[str, Any]:
    return {"parameter_name": name, "parameter_type": "choices", "parameter_values": list(values)}


_DIRECTION = _choices("direction", *DIRECTIONS)

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "bandwidth_limit": [_range("max_kbps"), _range("max_burst_kbps"), _DIRECTION],
    "dscp_marking": [_choices("dscp_mark", *DSCP_MARKS)],
    "minimum_bandwidth": [_range("min_kbps"), _DIRECTION],
}
"""The attributes of each supported type, with the values that they can have."""


class QosRuleTypes(ReadOnlyResource):
    """``/v2.0/qos/rule-types``."""

    member = "rule_type"
    collection = "rule_types"
    path = "qos/rule-types"
    identity = "type"
    single = "context_is_admin"
    extensions: ClassVar[Mapping[str, str]] = {
        "qos-rule-type-details": "Details of QoS rule types",
        "qos-rule-type-filter": "Allow to filter the list of QoS rule types",
    }
    rules: ClassVar[Mapping[str, str]] = {"get_rule_type": "role:reader"}
    attributes: ClassVar[Mapping[str, Attribute]] = {
        "type": shown(filterable=False),
        "all_rules": shown(boolean),
        "all_supported": shown(boolean),
    }

    def values(self) -> list[dict[str, Any]]:
        """Return all types."""
        return [{"type": kind} for kind in RULE_KINDS]

    def select(self, filters: Mapping[str, query.Wanted]) -> list[dict[str, Any]]:
        """Return the types that ports can have; with `all_rules` also those that none can."""
        known = RULE_KINDS if True in filters.get("all_rules", ()) else SUPPORTED
        return [{"type": kind} for kind in known]

    def find(self, uuid: str) -> dict[str, Any]:
        """Return a type with its details.

        Raises:
            HTTPNotFound: there is no such type.
        """
        parameters = PARAMETERS.get(uuid)
        drivers = [] if parameters is None else [{"name": DRIVER, "supported_parameters": parameters}]
        return super().find(uuid) | {"drivers": drivers}
