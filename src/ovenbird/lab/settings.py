"""Settings of a lab's cloud, written where every process of it reads them: options of Cloud_Global's one row."""

import json
from collections.abc import Mapping

from ovenbird.lab.command import run
from ovenbird.lab.errors import LabError

_TABLE = "Cloud_Global"


def configure(cloud: str, settings: Mapping[str, str]) -> None:
    """Give a cloud settings, whatever others it has.

    Arguments:
        cloud: its Cloud database, as `ovsdb-client` takes it.
        settings: name to value.

    Raises:
        LabError: the database refuses.
    """
    pairs = ["map", [*map(list, settings.items())]]
    there = _transact(cloud, {"op": "select", "table": _TABLE, "where": [], "columns": ["_uuid"]})[0]["rows"]
    if there:
        replace = [["options", "delete", ["set", [*settings]]], ["options", "insert", pairs]]
        _transact(cloud, {"op": "mutate", "table": _TABLE, "where": [], "mutations": replace})
    else:
        _transact(cloud, {"op": "insert", "table": _TABLE, "row": {"options": pairs}})


def _transact(cloud: str, *operations: object) -> list[dict[str, list[object]]]:
    """Run operations and return their results (RFC 7047, section 4.1.3)."""
    results: list[dict[str, list[object]]] = json.loads(
        run(["ovsdb-client", "transact", cloud, json.dumps(["Cloud", *operations])])
    )
    for result in results:
        if result and "error" in result:
            raise LabError(f"{_TABLE} cannot be written: {result}")
    return results
