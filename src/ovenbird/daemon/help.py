"""What `--help` and `--options` of a daemon print, made from the options that its parser knows."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from ovenbird.daemon.options import GROUPS, SHORT, Option, Takes
from ovenbird.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WIDTH = 80
"""Columns of a line."""
_INDENT = 26
"""Columns before what an option does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The help text of a daemon besides its options.

    Arguments:
        summary: what it does, in one line.
        synopsis: the command line behind its name.
        about: what its operands are, and the like; a paragraph.
        notes: what stands below its options; a paragraph.
    """

    summary: str
    synopsis: str
    about: str = ""
    notes: str = ""


def letters(short: Mapping[str, str] | None) -> dict[str, str]:
    """Return the letter of each long option that has one, with its dash."""
    return {name: letter for letter, name in {**SHORT, **(short or {})}.items()}


def help_text(name: str, usage: Usage, own: Mapping[str, Option], short: Mapping[str, str] | None) -> str:
    """Return what `--help` prints.

    Arguments:
        name: the command behind `ovenbird`.
        usage: what is said besides the options.
        own: the options beyond the common ones.
        short: its short options beyond the common ones.
    """
    head = [f"ovenbird {name}: {usage.summary}", f"usage: ovenbird {name} {usage.synopsis}", usage.about]
    known = letters(short)
    groups = {"Options": own, **{f"{group} options": options for group, options in GROUPS.items()}}
    lists = ["\n".join([f"{title}:", *_lines(options, known)]) for title, options in groups.items() if options]
    first = "\n".join(_filled(text) for text in head if text)
    return "\n\n".join([first, *lists, *([_filled(usage.notes)] if usage.notes else [])]) + "\n"


def _filled(text: str, width: int = _WIDTH) -> str:
    """Return a paragraph in lines of the right width, broken at blanks alone."""
    return textwrap.fill(text, width, break_on_hyphens=False, break_long_words=False)


def _lines(options: Mapping[str, Option], known: Mapping[str, str]) -> Iterator[str]:
    for name, option in options.items():
        letter = f"{known[name]}, " if name in known else ""
        label = f"  {letter}{option.spelled(name)}"
        text = option.text + ("; may repeat" if option.repeats else "")
        wrapped = _filled(text, _WIDTH - _INDENT).splitlines()
        if len(label) < _INDENT:
            yield f"{label:<{_INDENT}}{wrapped.pop(0)}"
        else:
            yield label
        yield from (" " * _INDENT + line for line in wrapped)


def option_list(own: Mapping[str, Option], short: Mapping[str, str] | None) -> str:
    """Return what `--options` prints, two lines an option as the original's: for completion in shells."""
    known = letters(short)
    lines = []
    for options in (own, *GROUPS.values()):
        for name, option in options.items():
            argument = {Takes.NOTHING: "", Takes.VALUE: "=ARG", Takes.OPTIONAL: "=[ARG]"}[option.takes]
            lines += [f"--{name}{argument}", *([known[name]] if name in known else [])]
    return "\n".join(lines) + "\n"
