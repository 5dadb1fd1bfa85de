"""One name, one thing: no two modules of a package define a public constant, and no two of all define a class.

Whoever searches for a name finds what it stands for. A constant that several modules define with the same words is one
thing. Type variables, which have one letter, do not count.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import ovenbird

SOURCE = Path(ovenbird.__file__).parent

BY_MANUALS = {
    "model/": "tables of the databases' schemas, and the tuples of them",
    "metadata/rows.py": "tables of Open_vSwitch, with fewer columns",
    "lang/actions/": "actions of ovn-sb(5)",
    "openflow/actions/": "actions of ovs-actions(7)",
    "net/": "messages, options and numbers of protocols, by their RFCs; a module is a protocol's",
}
"""Where names are those that manuals give: they may also stand elsewhere."""

OF_EACH_MODULE = {
    ("northd", "FEATURE"): "what a feature's module is",
    ("daemon", "OPTIONS"): "the options that a daemon's module adds",
    ("daemon", "SHORT_OPTIONS"): "the options of one letter that a daemon's module adds",
    ("daemon", "USAGE"): "what a daemon's --help says",
}
"""Constants that modules of one kind all have, and that are used by the module's name."""

FORMER = frozenset(
    {
        *("Adjustable", "Author", "Boot", "Cubes", "Derived", "Distinct", "Door", "EditBook", "Gathered", "Held"),
        *("Joint", "Keeper", "LargeSet", "LockedPump", "Manners", "Mirrored", "Notebook", "Origins", "Outside", "Pump"),
        *("Remembered", "Residue", "Scene", "Segment", "Settled", "Shown", "Snapshot", "Stamp", "Stencil", "Tallies"),
        *("Tally", "Trait", "Turns", "Way", "ZoneBook"),
        *("AFTERWARDS", "CAREFUL", "CLAUSE", "EAGER", "SPREAD", "TRANSLATING_AT_HOME", "USUAL"),
        *("drop_seeds", "home_chassis", "is_concerned", "own_store", "passes_tags", "speaks_for", "way_to"),
        *("find_caller", "uncollected", "Cube", "compile_boxes", "stencils"),
    }
)
"""What classes, functions and constants were once called, and what the field has another word for."""

FORMER_MODULES = frozenset(
    {
        *("advertiser", "announcements", "boxes", "carrier", "collector", "cubes", "documents", "entering", "held"),
        *("interest", "joint", "keeper", "large_set", "login", "mirror", "notebook", "outside", "pump", "question"),
        *("repeated", "scene", "segment", "skeleton", "snapshot", "speaker", "stencil", "turns"),
    }
)


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), ast.parse(path.read_text())


TREES = dict(trees())


def defined(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str | None]]:
    """Yield the public classes and constants of a module, each constant with its definition's text."""
    for node in body:
        match node:
            case ast.If() | ast.Try() | ast.With():
                inner = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
                inner += [handler.body for handler in getattr(node, "handlers", [])]
                seen: dict[str, str | None] = {}
                for part in inner:
                    seen.update(defined(part))
                yield from seen.items()
                continue
            case ast.ClassDef():
                found: list[tuple[str, str | None]] = [(node.name, None)]
            case ast.Assign():
                found = [
                    (name.id, ast.unparse(node.value))
                    for target in node.targets
                    for name in ast.walk(target)
                    if isinstance(name, ast.Name)
                ]
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found = [(name, ast.unparse(value))]
            case _:
                continue
        yield from ((name, text) for name, text in found if name[0].isupper() and len(name) > 1)


def public() -> Iterator[tuple[str, str, str | None]]:
    """Yield module, name and definition of what counts."""
    for path, tree in TREES.items():
        if not path.startswith(tuple(BY_MANUALS)):
            yield from ((path, name, text) for name, text in defined(tree.body))


def test_a_name_stands_for_one_thing_in_a_package():
    places: dict[tuple[str, str], dict[str, str | None]] = defaultdict(dict)
    for path, name, text in public():
        places[path.partition("/")[0], name][path] = text
    several = {
        f"{package}: {name}": sorted(found)
        for (package, name), found in places.items()
        if len(found) > 1 and (None in found.values() or len(set(found.values())) > 1)
        if (package, name) not in OF_EACH_MODULE
    }
    assert not several
    assert all(len(places[which]) > 1 for which in OF_EACH_MODULE), "an exception that nothing needs"


def test_a_class_has_a_name_of_its_own_in_the_whole_tree():
    places: dict[str, list[str]] = defaultdict(list)
    for path, name, text in public():
        if text is None:
            places[name].append(path)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_former_names_do_not_come_back():
    """Words that were replaced by the field's own stay away from classes, functions, constants and modules."""
    found = []
    for path, tree in TREES.items():
        if Path(path).stem in FORMER_MODULES:
            found.append(path)
        kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        here = [node for node in ast.walk(tree) if isinstance(node, kinds) and node.name in FORMER]
        found += [f"{path}:{node.lineno} {node.name}" for node in here]
        found += [f"{path}: {name}" for name, _ in defined(tree.body) if name in FORMER]
    assert not found
