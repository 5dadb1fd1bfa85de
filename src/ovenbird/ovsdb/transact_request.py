"""A staged transaction as the operations of a `transact` request (RFC 7047, section 4.1.3)."""

# ruff: noqa: S101 - the assertions say what the type checker cannot know
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovenbird.ovsdb.table import encode_row

if TYPE_CHECKING:
    from ovenbird.ovsdb.transaction import Staged, Transaction


def encode_transaction(transaction: Transaction) -> list[dict[str, Any]]:
    """Encode a staged transaction as operations; new rows have their UUIDs."""
    operations: list[dict[str, Any]] = [{"op": "assert", "lock": name} for name in transaction.locks]
    for table, uuid, expected in transaction.waits:
        row = {}
        for position, value in expected.items():
            encode = table.encoders[position]
            row[table.layout[position].name] = value if encode is None else encode(value)
        operations.append(
            {
                "op": "wait",
                "table": table.name,
                "where": [["_uuid", "==", ["uuid", uuid]]],
                "columns": list(row),
                "until": "==",
                "rows": [row],
                "timeout": 0,
            },
        )
    for name, rows in transaction.staged.items():
        plan = transaction.tables[name].plan()
        for uuid, staged in rows.items():
            if staged.row is None:
                row = encode_row(plan, staged.freeze())
                operations.append({"op": "insert", "table": name, "uuid": uuid, "row": row})
            else:
                operations += _encode_staged(staged)
    if operations and transaction.comments:
        operations.append({"op": "comment", "comment": "\n".join(transaction.comments)})
    return operations


def row_of(operation: dict[str, Any]) -> str | None:
    """Return the UUID of the row that an operation of `encode_transaction` is about."""
    if "uuid" in operation:
        return str(operation["uuid"])
    return str(operation["where"][0][2][1]) if "where" in operation else None


def _encode_staged(staged: Staged) -> list[dict[str, Any]]:
    target = {"table": staged.table.name, "where": [["_uuid", "==", ["uuid", staged.uuid]]]}
    if staged.deleted:
        return [{"op": "delete", **target}]
    staged.freeze()
    assert staged.row is not None
    row: dict[str, Any] = {}
    mutations: list[Any] = []
    for position in sorted(staged.changed):
        column = staged.table.layout[position]
        encode = staged.table.encoders[position]
        if not (staged.touched and position in staged.touched and column.type.high > 1):
            if staged.values[position] != staged.row.values[position]:
                row[column.name] = staged.values[position] if encode is None else encode(staged.values[position])
            continue
        added, removed = staged.delta(position)
        encode = staged.table.diff_encoders[position]
        assert encode is not None
        if removed:
            mutations.append([column.name, "delete", encode(removed)])
        if added:
            mutations.append([column.name, "insert", encode(added)])
    answer: list[dict[str, Any]] = []
    if row:
        answer.append({"op": "update", **target, "row": row})
    if mutations:
        answer.append({"op": "mutate", **target, "mutations": mutations})
    return answer
