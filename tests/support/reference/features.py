"""What of Northbound's schema rules use, seen while they compile the golden pages; and the page that says so.

A column counts as used when a rule or a view depends on it, or when northd writes it back; a key of a map column when
one asks for it. Nothing is listed by hand but what is not northd's business at all.
"""

from __future__ import annotations

import re
from collections import defaultdict

from ovenbird.engine import tracking
from ovenbird.engine.computed_index import Files
from ovenbird.engine.rows import Store
from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from support import ROOT

PAGES = sorted((ROOT / "tests" / "golden").glob("*.md"))
BLOCK = re.compile(r"^```nbctl[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROOTS = (
    ("Logical_Router", "Logical_Switch", "Port_Group", "Static_MAC_Binding", "BFD"),
    ("Address_Set", "DHCP_Options", "Meter", "DNS", "HA_Chassis_Group", "Copp", "Load_Balancer", "DHCP_Relay"),
    ("Sample_Collector", "Sampling_App"),
)
OTHERS = {"Connection": "the database server's own", "SSL": "the database server's own"}
FOR_THE_CLOUD = "kept for the cloud"
LABEL, RESERVED = "a label for people", "reserved for future use"
BY_THE_SERVER = "read by the database server"
UNREAD = {
    ("NB_Global", "name"): "read by `ovenbird ic`",
    ("NB_Global", "connections"): BY_THE_SERVER,
    ("NB_Global", "ssl"): BY_THE_SERVER,
    ("Sample_Collector", "name"): LABEL,
    ("Copp", "name"): LABEL,
    ("Forwarding_Group", "name"): LABEL,
    ("Load_Balancer_Group", "name"): LABEL,
    ("DHCP_Relay", "name"): LABEL,
    ("DHCP_Relay", "options"): RESERVED,
    ("Gateway_Chassis", "name"): LABEL,
    ("Gateway_Chassis", "options"): RESERVED,
}
"""Columns that no rule has to read, and why; `external_ids` are for the cloud."""
SHOWN = 4
"""Pages named for one column."""

HEAD = """# What of Northbound is implemented

Made by `make docs` from the code: each table and column of the Northbound schema (ovn-nb(5)), and each key that is
asked for in a map column. *Used* means that a rule reads it, or northd writes it back, while the pages of
`tests/golden` are compiled; the pages named show it. Of a column that no rule has to read, it
stands here what it is for.
"""


class Asked(dict):
    """A map column's value that knows which of its keys were asked for, and by whom."""

    def __init__(self, value, note) -> None:
        super().__init__(value)
        self.note = note

    def __getitem__(self, key):
        self.note(key)
        return super().__getitem__(key)

    def __contains__(self, key) -> bool:
        self.note(key)
        return super().__contains__(key)

    def get(self, key, default=None):
        self.note(key)
        return super().get(key, default)


def reader_of(node) -> str:
    """Return the module of a rule or view, which is the feature's name for most."""
    part = getattr(node, "rule", None) or getattr(node, "key", (None,))[0]
    return part.body.__module__.rpartition(".")[2] if part is not None else ""


class Survey:
    """Which columns and keys are read, and set where."""

    def __init__(self) -> None:
        self.readers = defaultdict(set)  # (table, column) or (table, column, key): features that read it
        self.pages = defaultdict(set)  # the same: pages that set it
        northbound = Store("OVN_Northbound", nb.ROWS)
        made = build(northbound, sb_store=Store("OVN_Southbound", sb.ROWS)).outputs_of(northbound)
        self.written = {(out.table.name, column.name) for out in made for column in out.relation.value_columns}

    def page(self, servers, page) -> None:
        """Compile a page, block by block."""
        for tables in ROOTS:
            servers.nb.transact(*[{"op": "delete", "table": table, "where": []} for table in tables])
        servers.nb.transact({"op": "update", "table": "NB_Global", "where": [], "row": {"options": ["map", []]}})
        for body in BLOCK.findall(page.read_text()):
            servers.edit(body)
            self.compile(servers, page.stem)

    def compile(self, servers, stem) -> None:
        northbound = Store("OVN_Northbound", nb.ROWS)
        servers.nb.load(northbound)
        self.watch(northbound, stem)
        engine = build(northbound, sb_store=Store("OVN_Southbound", sb.ROWS))
        engine.run()
        assert not engine.failures, engine.failures
        for table in northbound.tables.values():
            self.read(table)

    def watch(self, store, stem) -> None:
        """Note what is set, and have maps note what they are asked."""
        for name, table in store.tables.items():
            for row in table.rows.values():
                for column in table.row_class.COLUMNS:
                    value = row.values[column.index]
                    if value not in (column.default, frozenset(), None, ""):
                        self.pages[name, column.name].add(stem)
                    if type(value) is dict:
                        for key in value:
                            self.pages[name, column.name, key].add(stem)
                        row.values[column.index] = Asked(value, self.noter(name, column.name))

    def noter(self, table, column):
        def note(key):
            self.readers[table, column, key].add(reader_of(tracking.reader) if tracking.reader is not None else "")

        return note

    def read(self, table) -> None:
        """Note every column that somebody depends on: in a row, by an index, by what it implies."""
        for row in table.rows.values():
            for node, mask in row.readers.items():
                for column in table.row_class.COLUMNS:
                    if mask & column.bit:
                        self.readers[table.name, column.name].add(reader_of(node))
        for index in table._indexes.values():
            self.indexed(index.columns, index.buckets)
        for files in table.watchers:
            if isinstance(files, Files):
                parent = files.derived.parent
                self.indexed((*files.derived.columns, *([parent] if parent is not None else [])), files.buckets)

    def indexed(self, columns, buckets) -> None:
        found = {reader_of(node) for bucket in buckets.values() for node in bucket.readers}
        for column in columns if found else ():
            self.readers[column.owner.TABLE, column.name] |= found

    # -- the page ---------------------------------------------------------------------------------------------------

    def text(self) -> str:
        return "\n".join([HEAD, *[line for row_class in nb.ROWS for line in self.table(row_class)]])

    def table(self, row_class):
        name = row_class.TABLE
        yield f"## {name}\n"
        if name in OTHERS:
            yield f"{OTHERS[name].capitalize()}.\n"
            return
        if not any((name, column.name) in self.readers for column in row_class.COLUMNS):
            yield "Not yet.\n"
            return
        yield "| column | | shown in |\n| --- | --- | --- |"
        for column in row_class.COLUMNS:
            yield self.line((name, column.name), column.name)
            for key in sorted(k for t, c, *rest in self.readers if (t, c) == (name, column.name) for k in rest):
                yield self.line((name, column.name, key), f"{column.name}:{key}")
        yield ""

    def line(self, what, label) -> str:
        used = [word for word, where in (("used", self.readers), ("written back", self.written)) if what in where]
        unread = UNREAD.get(what, FOR_THE_CLOUD if what[1] == "external_ids" else "not yet")
        state = ", ".join(used) or unread
        return f"| `{label}` | {state} | {self.links(what) if used else ''} |"

    def links(self, what) -> str:
        """Name the pages that set it: those of the features that read it first, and not all of what everybody sets."""
        readers = self.readers.get(what, ())
        pages = sorted(self.pages.get(what, ()), key=lambda page: (page not in readers, page))
        shown = ", ".join(f"[{page}](../../tests/golden/{page}.md)" for page in pages[:SHOWN])
        return f"{shown} and {len(pages) - SHOWN} more" if len(pages) > SHOWN else shown
