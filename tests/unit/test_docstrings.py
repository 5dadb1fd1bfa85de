"""Public functions say what they take and what they raise, in one form that people and tools find.

`Arguments:` is asked of those with three parameters or more, `Raises:` of those that raise something themselves. A
method that overrides another, or that a protocol asks for, has its words there. A command's parameters are options,
which have their words in `--help`. What `__init__` takes and raises is in the docstring of the class or its own. Where
there is a list of arguments, it names each parameter and nothing else.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ovenbird

SOURCE = Path(ovenbird.__file__).parent
MANY = 3
UNSAID = ("NotImplementedError", "AssertionError", "SystemExit", "StopIteration", "StopAsyncIteration")
"""What a caller need not be told of: errors of ours, and the ends of programs and iterations."""

MAKING = ("__init__", "__new__", "__post_init__")
CALLED = (*MAKING, "__call__", "__getitem__", "__enter__", "__aenter__", "__iter__", "__aiter__")
"""Methods that callers use without their names."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Public:
    """A public function of a module, or method of a public class."""

    path: Path
    owner: ast.ClassDef | None
    node: Function

    def __str__(self) -> str:
        owner = f"{self.owner.name}." if self.owner else ""
        return f"{self.path.relative_to(SOURCE)}:{self.node.lineno} {owner}{self.node.name}"

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters, without `self` and `cls`."""
        given = self.node.args
        named = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        return named[1:] if self.owner and named[:1] in (["self"], ["cls"]) else named

    @property
    def doc(self) -> str:
        """The words about it: its own, and for the making of an object those of the class."""
        makes = self.owner is not None and self.node.name in MAKING
        return "\n\n".join(ast.get_docstring(one) or "" for one in (self.node, self.owner if makes else None) if one)

    @property
    def variable(self) -> set[str]:
        """The names of `*args` and `**kwargs`, which a list may name."""
        return {one.arg for one in (self.node.args.vararg, self.node.args.kwarg) if one}

    @property
    def is_command(self) -> bool:
        return any("command(" in ast.unparse(one) or "group(" in ast.unparse(one) for one in self.node.decorator_list)

    @property
    def is_overload(self) -> bool:
        return any(ast.unparse(one).endswith("overload") for one in self.node.decorator_list)

    @property
    def raises(self) -> bool:
        """Whether there is a `raise` of a new error in its own body."""
        return any(not name.startswith(UNSAID) for name in _raised(self.node))


def _raised(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(child, ast.Raise) and child.exc is not None:
            yield ast.unparse(child.exc)
        yield from _raised(child)


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text())


TREES = list(trees())
CLASSES = [node for _, tree in TREES for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def base_names(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases}


PROTOCOLS = [node for node in CLASSES if "Protocol" in base_names(node)]


def inherited(owner: ast.ClassDef, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Return whether a base class of the package has a method of this name."""
    for base in base_names(owner) - seen:
        for node in CLASSES:
            if node.name == base and node is not owner:
                if any(isinstance(one, Function) and one.name == name for one in node.body):
                    return True
                if inherited(node, name, seen | {base}):
                    return True
    return False


def asked_for(function: Public) -> bool:
    """Return whether a protocol has a method of this name and these parameters."""
    return any(
        isinstance(one, Function) and one.name == function.node.name
        and Public(function.path, node, one).parameters == function.parameters
        for node in PROTOCOLS if node is not function.owner for one in node.body
    )  # fmt: skip


def functions() -> Iterator[Public]:
    for path, tree in TREES:
        for node in tree.body:
            if isinstance(node, Function):
                yield Public(path, None, node)
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                for method in node.body:
                    if isinstance(method, Function) and (method.name in MAKING or not inherited(node, method.name)):
                        function = Public(path, node, method)
                        if not asked_for(function):
                            yield function


PUBLIC = [
    one
    for one in functions()
    if one.node.name in CALLED or not one.node.name.startswith("_")
    if not one.is_command and not one.is_overload
]


def listed(doc: str) -> list[str]:
    """Return the names in a docstring's lists of arguments."""
    sections = re.findall(r"^Arguments:\n((?:    .*\n|\n)+)", f"{doc}\n", re.MULTILINE)
    heads = re.findall(r"^    (\*{0,2}\w+(?:, \*{0,2}\w+)*): ", "".join(sections), re.MULTILINE)
    return [name.lstrip("*") for head in heads for name in head.split(", ")]


def test_functions_of_many_parameters_say_what_these_are():
    silent = [str(one) for one in PUBLIC if len(one.parameters) >= MANY and "Arguments:\n" not in one.doc]
    assert not silent, "\n" + "\n".join(silent)


def test_lists_of_arguments_name_each_parameter_and_nothing_else():
    wrong = [
        f"{one}: {sorted(differ)}"
        for one in PUBLIC
        if (names := listed(one.doc))
        if (differ := (set(names) - one.variable) ^ {name for name in one.parameters if name != "_"})
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_functions_that_raise_say_what_and_when():
    silent = [str(one) for one in PUBLIC if one.raises and "Raises:\n" not in one.doc]
    assert not silent, "\n" + "\n".join(silent)
