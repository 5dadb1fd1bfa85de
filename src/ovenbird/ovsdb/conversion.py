"""Conversion of a database to another schema, as `ovsdb-tool convert` and the `convert` request do it.

Tables and columns of both schemas are kept; those that the new schema lacks are dropped, those that it adds have their
defaults (ovsdb-server(7), "Schema Conversion"). A result that violates the new schema's constraints is refused as a
whole.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson

from ovenbird.net.numbers import integer
from ovenbird.ovsdb import notation
from ovenbird.ovsdb.compaction import compact
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.errors import ConstraintViolation, OvsdbError
from ovenbird.ovsdb.journal import OnDamage, open_database
from ovenbird.ovsdb.journal_reader import stored_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ovenbird.engine.rows import Row
    from ovenbird.ovsdb.schema import DatabaseSchema
    from ovenbird.ovsdb.types import ColumnType

_log = logging.getLogger(__name__)


def convert(old: Database, schema: DatabaseSchema, row_classes: Iterable[type[Row]] = ()) -> Database:
    """Return a database with another schema and the contents of `old`, whose journal it takes over.

    Arguments:
        old: the database, which must not be used afterwards.
        schema: of the new database.
        row_classes: typed row classes for some or all of its tables.

    Raises:
        OvsdbError: the contents do not fit; `old` is as before.
        InputOutputError: the journal could not be written; likewise.
    """
    new = Database(schema, row_classes)
    transaction = new.transaction()
    for name, table in old.tables.items():
        target = new.tables.get(name)
        if target is None:
            continue
        kept = [
            (position, target.position[column.name], _converter(column.type, target.column(column.name)[1].type))
            for position, column in enumerate(table.layout)
            if column.name in target.position
        ]
        for uuid, row in table.table.rows.items():
            values = target.defaults.copy()
            for source, position, converted in kept:
                try:
                    values[position] = converted(row.values[source])
                except OvsdbError as error:
                    column = target.layout[position].name
                    details = f"table {name}, row {uuid}, column {column}: {error.details or error}"
                    raise type(error)(details) from error
            transaction.stage_insert(target, values, uuid)
    transaction.commit()
    if old.journal is not None:
        compact(old.journal, new)
        new.journal = old.journal
    return new


def _converter(old: ColumnType, new: ColumnType) -> Callable[[Any], Any]:
    """Return the function that turns a column's values of one type into those of another, which may be a narrower one.

    As in ovsdb-server, values of different types are converted through JSON, where an atom and a set of it are equal.
    """
    if old == new:
        return lambda value: value
    kinds = [(type_.key.atomic, type_.value and type_.value.atomic, type_.low, type_.high > 1) for type_ in (old, new)]
    if kinds[0] == kinds[1]:

        def check(value: Any) -> Any:
            new.check(value)
            return value

        return check
    decode = notation.decoder(new)
    return lambda value: decode(orjson.loads(orjson.dumps(notation.encode(old, value))), None)


def open_converted(
    path: Path,
    schema: DatabaseSchema,
    row_classes: Iterable[type[Row]] = (),
    *,
    on_damage: OnDamage = OnDamage.REFUSE,
) -> Database:
    """Open a journal as `open_database` does, converting it to a schema if it was written with an older one.

    Arguments:
        path: of the journal, which is made if there is none.
        schema: the wanted schema.
        row_classes: typed rows for tables of it.
        on_damage: what to do with a damaged journal.

    Raises:
        ConstraintViolation: its schema is newer, or its contents do not fit; the file is as before.
        InputOutputError, DatabaseCorrupt: it cannot be opened.
    """
    stored = stored_schema(path)
    if stored.to_json() == schema.to_json():
        return open_database(path, row_classes, on_damage=on_damage)
    if stored.name != schema.name or _number(stored.version) > _number(schema.version):
        raise ConstraintViolation(
            f"the file is of {stored.name} {stored.version}, this program of {schema.name} {schema.version}"
        )
    old = open_database(path, on_damage=on_damage)
    try:
        new = convert(old, schema, row_classes)
    except Exception:
        if old.journal is not None:
            old.journal.close()
        raise
    _log.info("%s: converted from %s %s to %s", path, stored.name, stored.version, schema.version)
    return new


def _number(version: str) -> tuple[int, ...]:
    return tuple(number for part in version.split(".") if (number := integer(part)) is not None)
