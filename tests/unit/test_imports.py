"""Imports at run time: no two modules import each other, directly or indirectly; classes use our own decorator.

Imports for the type checker alone do not count; the layers in `pyproject.toml` bound them.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

import ovenbird


def test_classes_are_made_by_the_projects_own_decorator():
    """See ADR 19: the standard library's compiles the methods of each class when it is imported."""
    source = Path(ovenbird.__file__).parent
    trees = {path: ast.parse(path.read_text()) for path in source.rglob("*.py") if path != source / "dataclass.py"}
    found = [
        f"{path.relative_to(source)}:{node.lineno}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "dataclasses"
        if any(alias.name in ("dataclass", "field", "KW_ONLY") for alias in node.names)
    ]
    assert len(trees) > 300
    assert not found


def test_no_module_imports_itself_by_way_of_others():
    graph = grimp.build_graph("ovenbird", exclude_type_checking_imports=True, cache_dir=None)
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(needs) > 300
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
