"""Edits of tables and columns that Debian's ovn-nbctl does not know, in the words of a newer one.

A line is one of these, without quotes; a record is the first one whose column has the value:

- `set TABLE COLUMN=VALUE COLUMN=VALUE COLUMN:KEY=VALUE ...`, where the first pair names the record;
- `create TABLE COLUMN=VALUE ... in TABLE COLUMN=VALUE COLUMN`, where what follows `in` names the column that is to
  refer to the new record, and can be left out.

A reference is written as `COLUMN=VALUE` of the record that it is to, in parentheses. Several values are divided by
commas; an optional value that is empty is none.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ovenbird.model import nb
from ovenbird.ovsdb.notation import encode

if TYPE_CHECKING:
    from support.northd.oracle import Client

CLASSES = {row_class.TABLE: row_class for row_class in nb.ROWS}


def run(client: Client, line: str) -> None:
    """Run one line."""
    words = shlex.split(line)
    verb, row_class, *rest = words[0], CLASSES[words[1]], *words[2:]
    if verb == "set":
        values, changes = _row(client, row_class, rest[1:])
        where = [["_uuid", "==", ["uuid", _record(client, row_class, rest[0])]]]
        place = {"table": row_class.TABLE, "where": where}
        client.transact({"op": "update", "row": values, **place}, {"op": "mutate", "mutations": changes, **place})
        return
    assert verb == "create", line
    own, owner = (rest[: rest.index("in")], rest[rest.index("in") + 1 :]) if "in" in rest else (rest, [])
    values, changes = _row(client, row_class, own)
    values |= {column: ["map", change[1]] for column, _, change in changes}
    operations = [{"op": "insert", "table": row_class.TABLE, "row": values, "uuid-name": "made"}]
    if owner:
        table, named, column = owner
        where = [["_uuid", "==", ["uuid", _record(client, CLASSES[table], named)]]]
        change = [column, "insert", ["set", [["named-uuid", "made"]]]]
        operations.append({"op": "mutate", "table": table, "where": where, "mutations": [change]})
    client.transact(*operations)


def _row(client: Client, row_class, words: list[str]):
    """Return the values of columns, and the changes of single keys."""
    values, changes = {}, []
    for word in words:
        name, _, text = word.partition("=")
        name, _, key = name.partition(":")
        column = row_class.BY_NAME[name]
        if key:
            pair = [key, text if column.type.value.atomic == "string" else int(text)]
            changes.append([name, "insert", ["map", [pair]]])
        elif text.startswith("("):
            found = [["uuid", _record(client, _class_of(column.target), each)] for each in text[1:-1].split(",")]
            values[name] = ["set", found]
        else:
            values[name] = encode(column.type, _value(column.type, text))
    return values, changes


def _class_of(target):
    return CLASSES[getattr(target, "TABLE", target)]


def _value(kind, text: str):
    """Parse a value, or several, as a column's type asks."""
    atom = {"integer": int, "boolean": "true".__eq__}.get(str(kind.key.atomic), str)
    if kind.high == 1:
        return atom(text) if text or kind.low else None
    return frozenset(atom(each) for each in text.split(",") if each)


def _record(client: Client, row_class, word: str) -> str:
    """Return the UUID of the first record whose column has the value."""
    name, _, text = word.partition("=")
    name, _, key = name.partition(":")
    column = row_class.BY_NAME[name]
    value = ["map", [[key, text]]] if key else encode(column.type, _value(column.type, text))
    where = [[name, "includes" if key else "==", value]]
    answer = client.transact({"op": "select", "table": row_class.TABLE, "where": where, "columns": ["_uuid"]})
    assert answer[0]["rows"], (row_class.TABLE, word)
    return answer[0]["rows"][0]["_uuid"][1]
