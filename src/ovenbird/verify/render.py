"""A trace as text, in the three forms of ovn-trace(8): detailed, summary, minimal.

Each form yields lines, each with its kind of step, so that a terminal can colour them; the last lines, after `=>`, say
what became of the packet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ovenbird.verify.steps import StepKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovenbird.verify.steps import Step, Trace

_INDENT = "    "


class Line(NamedTuple):
    """A line with its role: a kind of step, `origin`, `verdict`, `title`, or empty."""

    text: str
    role: str = ""


def detailed(trace: Trace, *, everything: bool = False) -> Iterator[Line]:
    """Yield every stage with an effect, with its flow, the flow's origin, and its actions.

    Arguments:
        trace: the trace.
        everything: whether to show stages without effect, too.
    """
    yield Line(text=f"# {trace.microflow}", role="title")
    hidden: set[int] = set()
    for depth, step in trace.root.walk():
        if step is trace.root or id(step) in hidden or step.kind is StepKind.CHANGE:
            continue
        pad = _INDENT * depth
        if step.kind is StepKind.BLOCK:
            yield Line("")
            yield Line(text=f"{pad}{step.text}", role=StepKind.BLOCK)
            yield Line(text=f"{pad}{'-' * len(step.text)}", role=StepKind.BLOCK)
        elif step.trivial and not everything:
            hidden.update(id(below) for below in step.steps)
        else:
            yield Line(text=f"{pad}{step.text}", role=step.kind)
        if step.kind is StepKind.FLOW and step.origin:
            yield Line(text=f"{pad}{_INDENT}# {step.origin}", role="origin")
    yield Line("")
    yield from verdict(trace)


def summary(trace: Trace) -> Iterator[Line]:
    """Yield the pipelines and the actions run in them, like a program's text."""
    yield Line(text=f"# {trace.microflow}", role="title")
    for step in trace.root.steps:
        yield from _program(step, 0)
    yield from verdict(trace)


def _program(step: Step, depth: int) -> Iterator[Line]:
    pad = _INDENT * depth
    if step.kind is StepKind.BLOCK:
        yield Line(text=f"{pad}{step.text.removesuffix(' { ... }')} {{", role=StepKind.BLOCK)
        for below in step.steps:
            yield from _program(below, depth + 1)
        yield Line(text=f"{pad}}};", role=StepKind.BLOCK)
    elif step.kind is StepKind.FLOW:
        for below in step.steps:
            yield from _program(below, depth)
    elif step.kind is not StepKind.CHANGE and step.text != "next;":
        yield Line(text=f"{pad}{step.text}", role=step.kind)


def minimal(trace: Trace) -> Iterator[Line]:
    """Yield what is visible from outside: changed header fields, generated packets, and outputs."""
    yield Line(text=f"# {trace.microflow}", role="title")
    for step in trace.steps():
        made = step.kind is StepKind.BLOCK and step.text.endswith("{ ... }")
        if made or step.kind in (StepKind.CHANGE, StepKind.OUTPUT):
            yield Line(text=step.text, role=step.kind)
    yield from verdict(trace)


def verdict(trace: Trace) -> Iterator[Line]:
    """Yield the verdicts."""
    for text in trace.verdicts():
        yield Line(text=f"=> {text}", role="verdict")


FORMS: dict[str, Callable[[Trace], Iterator[Line]]] = {"detailed": detailed, "summary": summary, "minimal": minimal}
"""The forms by the names of ovn-trace's options."""


def text(trace: Trace, form: str = "detailed") -> str:
    """Return a trace as text in one of the forms."""
    return "\n".join(line.text for line in FORMS[form](trace))
