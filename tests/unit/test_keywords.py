"""Two values of one type, side by side in a call, can be swapped and nobody notices: they are given by name.

So a public function of the package, and a class, public or not, with its public methods, has no two neighbouring
positional parameters of one type: what stands behind the first of them is keyword-only. A class has the fields of its
bases too. A named tuple cannot have it so, and is held to it where it is made.
"""

import ast
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import ovenbird

SOURCE = Path(ovenbird.__file__).parent

BOUNDS = {("low", "high"), ("minimum", "maximum"), ("least", "most"), ("first", "last")}
"""Ends of a range: written in this order everywhere, and a range with its ends swapped has nothing in it."""

CALLED_BY_OTHERS = {
    "api/access/policy.py FieldCheck.__init__": "oslo.policy",
    "api/access/policy.py FieldCheck.__call__": "oslo.policy",
    "api/http/connection.py HttpConnection.on_header": "httptools",
    "northd/router/bfd.py keep_numbers": "northd/build.py, as all seeds: the engine, Northbound, Southbound",
    "northd/router/mac_binding.py limit_removals": "the same",
    "northd/switch/fdb.py limit_removals": "the same",
    "northd/ir/multicast_group.py keep_keys": "the same",
    "northd/ir/queues.py keep_queues": "the same",
    "northd/switch/acl_persistence.py keep_ids": "the same",
    "northd/shared/binding.py keep_keys": "the same",
    "northd/switch/ipam.py keep_addresses": "the same",
}
"""What other programs' code calls, and how they have it, with who does."""

HOT = {
    "lang/lexer.py": "tokens, one for every word of every match and action",
}
"""What is called or made so often that a name for each value costs measurably."""

OF_ONE_KIND = {
    "lab/neutron.py Neutron.act": "kind, id and action stand as in the request's path",
    "lab/neutron.py Neutron.delete": "kind and id stand as in the request's path",
    "lab/neutron.py Neutron.find": "likewise, and a kind is no name",
    "lab/neutron.py Neutron.show": "kind and id stand as in the request's path",
    "lab/neutron.py Neutron.update": "the same",
    "northd/ir/flow.py FlowBuilder.__call__": "match and actions stand as in OVN's northd, in 220 calls",
    "daemon/unixctl.py Unixctl.answer": "method and parameters stand as in JSON-RPC, and a list is no method",
    "lang/actions/assign.py Exchange": "the exchange of two fields is that of the second with the first",
    "lang/ternary.py intersection": "that of two sets is the same the other way round",
    "verify/network.py LogicalNetwork.start": "datapath and packet stand as in ovn-trace(8)",
    "verify/trace.py Tracer.trace": "datapath and packet stand as in ovn-trace(8)",
}
"""Where the order means nothing, or is the meaning."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
CALLS = ("__init__", "__new__", "__call__")


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield str(path.relative_to(SOURCE)), ast.parse(path.read_text())


TREES = list(trees())
CLASSES = {node.name: node for _, tree in TREES for node in tree.body if isinstance(node, ast.ClassDef)}


def kinds(annotation: ast.expr | None) -> set[str]:
    """Return the types that an annotation allows, but for None; a whole number is a number."""
    if annotation is None:
        return set()
    if isinstance(annotation, ast.BinOp):
        return kinds(annotation.left) | kinds(annotation.right)
    text = ast.unparse(annotation)
    return {"None": set(), "int": {"float"}}.get(text, {text})


def swappable(parameters: Sequence[tuple[str, ast.expr | None]]) -> list[tuple[str, str]]:
    """Return the neighbours of one type, by their names."""
    return [
        (name, other)
        for (name, kind), (other, other_kind) in pairwise(parameters)
        if kinds(kind) & kinds(other_kind) and (name, other) not in BOUNDS
    ]


def called(tree: ast.Module) -> Iterator[tuple[str, Function | ast.ClassDef]]:
    """Yield the public functions of a module, and its classes with their public methods."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) or (isinstance(node, Function) and not node.name.startswith("_")):
            yield node.name, node
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, Function) and (method.name in CALLS or not method.name.startswith("_")):
                    yield f"{node.name}.{method.name}", method


def decorators(node: Function | ast.ClassDef) -> str:
    return " ".join(ast.unparse(one) for one in node.decorator_list)


def fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    return [
        one for one in node.body if isinstance(one, ast.AnnAssign) and "ClassVar" not in ast.unparse(one.annotation)
    ]


def is_named_tuple(node: ast.ClassDef) -> bool:
    return any(ast.unparse(base) == "NamedTuple" for base in node.bases)


def positional(node: Function | ast.ClassDef) -> list[tuple[str, ast.expr | None]]:
    """Return names and types of what may be given by its place."""
    if isinstance(node, ast.ClassDef):
        if "dataclass" not in decorators(node) or "kw_only=True" in decorators(node):
            return []
        found: list[tuple[str, ast.expr | None]] = []
        for base in node.bases:
            inherited = CLASSES.get(ast.unparse(base).split("[")[0].rpartition(".")[2])
            found += positional(inherited) if inherited is not None else []
        for one in fields(node):
            if ast.unparse(one.annotation) == "KW_ONLY":
                break
            if one.value is None or "init=False" not in ast.unparse(one.value):
                found.append((ast.unparse(one.target), one.annotation))
        return found
    if "command(" in decorators(node) or "group(" in decorators(node) or "overload" in decorators(node):
        return []
    given = [(one.arg, one.annotation) for one in (*node.args.posonlyargs, *node.args.args)]
    return given[1:] if given and given[0][0] in ("self", "cls") else given


def test_neighbours_of_one_type_are_given_by_name():
    excused = CALLED_BY_OTHERS.keys() | HOT.keys() | OF_ONE_KIND.keys()
    found = [
        f"{path} {name}: {', '.join(pair)}"
        for path, tree in TREES
        for name, node in called(tree)
        if f"{path} {name}" not in excused
        for pair in swappable(positional(node))
    ]
    assert not found, "\n" + "\n".join(found)


NAMED_TUPLES = {
    name: [(ast.unparse(one.target), one.annotation) for one in fields(node)]
    for _, tree in TREES
    for name, node in called(tree)
    if isinstance(node, ast.ClassDef) and is_named_tuple(node)
}


def unnamed(call: ast.Call) -> list[tuple[str, str]]:
    """Return the neighbours of one type that a call gives a named tuple by their places alone."""
    made = NAMED_TUPLES.get(ast.unparse(call.func).rpartition(".")[2], [])
    return swappable(made[: len(call.args)])


def others(tree: ast.Module) -> set[str]:
    """Return the names of a module's own classes that are no named tuples."""
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef) and not is_named_tuple(node)}


def most_positional(node: Function) -> float:
    """Return how many values a method takes by their places."""
    return len(positional(node)) if node.args.vararg is None else float("inf")


def applied(call: ast.Call) -> tuple[ast.expr, list[ast.expr]]:
    """Return what a call gives values by their places, be it at once or by `partial`, and these values."""
    if ast.unparse(call.func).rpartition(".")[2] == "partial" and call.args:
        return call.args[0], call.args[1:]
    return call.func, call.args


def test_tests_and_benchmarks_call_the_lab_by_name_too():
    """Types are not checked there, and the tests with real packets run late."""
    (lab,) = (node for path, tree in TREES if path == "lab/lab.py" for name, node in called(tree) if name == "Lab")
    methods = {one.name: one for one in lab.body if isinstance(one, Function)}
    root = Path(__file__).parents[2]
    found = [
        f"{path.relative_to(root)}:{call.lineno} {ast.unparse(call)[:80]}"
        for folder in ("tests/live", "tests/support", "tests/differential", "bench")
        for path in sorted((root / folder).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        for called_one, values in [applied(call)]
        if isinstance(called_one, ast.Attribute) and called_one.attr in methods
        if ast.unparse(called_one.value).rpartition(".")[2].lower() in ("lab", "cloud")
        if len(values) > most_positional(methods[called_one.attr])
    ]
    assert not found, "\n" + "\n".join(found)


def test_named_tuples_are_made_by_name():
    found = [
        f"{path}:{call.lineno} {ast.unparse(call.func)}: {', '.join(pair)}"
        for path, tree in TREES
        if path not in HOT
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func) not in others(tree)
        for pair in unnamed(call)
    ]
    assert not found, "\n" + "\n".join(found)
