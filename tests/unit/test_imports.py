"""Who imports whom when the program runs: no two modules import each other, by whatever way round.

Imports for types alone are left out: those are no trouble for whoever starts, and layers (`pyproject.toml`) bound them.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp


def test_no_module_imports_itself_by_way_of_others():
    graph = grimp.build_graph("ovenbird", exclude_type_checking_imports=True, cache_dir=None)
    needs = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(needs) > 300
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
