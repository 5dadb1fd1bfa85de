"""Commands for tables and columns that Debian's ovn-nbctl does not know, in a few of its words."""

import shlex

from ovenbird.engine.rows import Store
from ovenbird.model import nb
from ovenbird.ovsdb.notation import encode
from ovenbird.ovsdb.types import Atomic


def run(northbound, lines):
    """Run commands on a Northbound, through an ``oracle.Client``."""
    for line in lines:
        store = Store("OVN_Northbound", nb.ROWS)
        northbound.load(store)
        northbound.transact(operation(store, line))


def operation(store, line):
    """Return the OVSDB operation of `create TABLE NAME [COLUMN=VALUE...]` or `set TABLE NAME COLUMN=VALUE...`."""
    verb, name, record, *assignments = shlex.split(line)
    table = store.tables[name]
    columns = table.row_class.BY_NAME
    row = dict(_assigned(store, columns, *text.partition("=")[::2]) for text in assignments)
    if verb == "create":
        return {"op": "insert", "table": name, "row": row | ({"name": record} if "name" in columns else {})}
    where = [["_uuid", "==", ["uuid", _named(table, record)]]]
    return {"op": {"set": "update"}[verb], "table": name, "where": where, "row": row}


def _named(table, record):
    (found,) = [row.uuid for row in table.rows.values() if row[NAMES.get(row.TABLE, "name")] == record]
    return found


NAMES = {"ACL": "match", "NAT": "external_ip", "Logical_Router_Policy": "match", "QoS": "match"}
"""The column that a row is called by, where it has no name."""


def _assigned(store, columns, column, text):
    kind = columns[column].type
    if kind.is_map:
        pairs = (part.partition("=") for part in text.split(","))
        value = {key: _atom(store, columns[column], kind.value.atomic, each) for key, _, each in pairs if key}
    elif kind.is_set:
        value = frozenset(_atom(store, columns[column], kind.key.atomic, part) for part in text.split(",") if part)
    else:
        value = _atom(store, columns[column], kind.key.atomic, text) if text else None
    return column, encode(kind, value)


def _atom(store, column, atomic, text):
    if atomic is Atomic.UUID:
        return _named(store.tables[column.target.TABLE if hasattr(column.target, "TABLE") else column.target], text)
    return {Atomic.INTEGER: int, Atomic.BOOLEAN: "true".__eq__}.get(atomic, str)(text)
