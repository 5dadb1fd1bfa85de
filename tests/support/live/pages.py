"""The commands of documentation pages: found in the text, run in order as somebody would type them, judged.

What counts as commands is a code block that says `sh` or `console`, and one that says nothing and begins with a
program. In a `console` block lines with `$ ` are commands and what follows is the shape of their output: numbers and
addresses may differ, and `…` stands for anything, by itself for any lines.

A comment above a block, which readers do not see, says why its commands cannot run: `<!-- not run: REASON -->`. A page
that has `<!-- on a machine of its own -->` meets no cloud; one with `<!-- tested by FILE -->` has a test of its own.
"""

from __future__ import annotations

import re
import select
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PATIENCE = 60
"""Seconds that one command may take."""
BUILTINS = frozenset((".", "cd", "echo", "exec", "export", "printf", "set"))
PROGRAMS = frozenset((
    "apt-get", "curl", "htpasswd", "journalctl", "make", "openstack", "ovenbird", "ovn-appctl", "ovn-nbctl",
    "ovn-sbctl", "ovs-appctl", "ovs-vsctl", "ovsdb-client", "ovsdb-tool", "pip", "systemctl",
))  # fmt: skip
"""What is a program wherever the pages are read, whether this machine has it or not."""
_FENCE = re.compile(r" *(```+|~~~+) *(\S*)")
_SKIP = re.compile(r"\s*<!-- not run: (.+?) -->\s*")
_OWN_TEST = re.compile(r"<!-- tested by (\S+) -->")
_ALONE = "<!-- on a machine of its own -->"
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_NUMBERS = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b"), "MAC"),
    (re.compile(r"\d+(?:\.\d+)*"), "0"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a page.

    Arguments:
        text: what is typed.
        line: of the page, from 1.
        output: the shape of what it prints; None where the page shows none.
        skipped: why it cannot run; empty if it can.
    """

    text: str
    line: int
    output: str | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Arguments:
        commands: in order.
        alone: whether it is about a machine without a cloud.
        own_test: the file that tests it instead; empty for most.
    """

    commands: tuple[Command, ...]
    alone: bool
    own_test: str

    @classmethod
    def read(cls, text: str) -> Page:
        own = _OWN_TEST.search(text)
        commands = tuple(command for block in _blocks(text) for command in block)
        return cls(commands, _ALONE in text, own[1] if own else "")


def _blocks(text: str) -> Iterator[list[Command]]:
    """Yield the commands of each code block."""
    lines = text.split("\n")
    at, reason, blank = 0, "", True
    while at < len(lines):
        line = lines[at]
        fence, skip = _FENCE.match(line), _SKIP.fullmatch(line)
        if fence is not None:
            end = next(i for i in [*range(at + 1, len(lines))] if lines[i].strip().startswith(fence[1]))
            yield _commands(lines[at + 1 : end], at + 2, fence[2], reason)
            at, reason, blank = end, "", False
        elif blank and line.startswith("    "):
            end = at
            while end < len(lines) and (not lines[end].strip() or lines[end].startswith("    ")):
                end += 1
            yield _commands(lines[at:end], at + 1, "", reason)
            at, reason, blank = end - 1, "", not lines[end - 1].strip()
        elif skip is not None:
            reason, blank = skip[1], True
        elif line.strip():
            reason, blank = "", False
        else:
            blank = True
        at += 1


def _commands(lines: Sequence[str], first: int, language: str, reason: str) -> list[Command]:
    """Return the commands of a block.

    Arguments:
        lines: its lines.
        first: the number of the first.
        language: what the block says of itself.
        reason: why it cannot run.
    """
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    lines = [line[indent:] for line in lines]
    opening = next((line for line in lines if line.strip() and (line.startswith("#!") or line[0] != "#")), "")
    console = language == "console" or (not language and opening.startswith("$ "))
    if not console and language not in ("sh", "bash", "shell") and (language or not _is_command(opening)):
        return []
    found: list[Command] = []
    at = 0
    while at < len(lines):
        line, number = lines[at], first + at
        at += 1
        if not line.strip() or (not console and line.startswith("#")):
            continue
        text = line.removeprefix("$ ") if console else line
        while text.endswith("\\") or ((word := _HEREDOC.search(text)) and text.split("\n")[-1] != word[1]):
            text += "\n" + lines[at]
            at += 1
        shown: list[str] = []
        while console and at < len(lines) and not lines[at].startswith("$ "):
            shown.append(lines[at])
            at += 1
        output = "\n".join(shown).strip()
        found.append(Command(text, number, output or None, reason))
    return found


def _is_command(line: str) -> bool:
    words = [word for word in line.split() if "=" not in word]
    word = words[0] if words else ""
    return word in BUILTINS | PROGRAMS or shutil.which(word) is not None


def has_shape(output: str, shape: str) -> bool:
    """Return whether what a command printed looks as the page says."""
    pattern = ""
    for line in shape.split("\n"):
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(_plain(part)) for part in line.strip().split("…")) + r"\n"
    told = "".join(f"{_plain(line.strip())}\n" for line in output.strip().split("\n"))
    return re.fullmatch(pattern, told) is not None


def _plain(text: str) -> str:
    """Replace what differs from one run to the next."""
    for pattern, word in _NUMBERS:
        text = pattern.sub(word, text)
    return text


class Shell:
    """A shell that somebody types commands into, on a machine that is a network namespace; a context manager.

    Arguments:
        namespace: its name.
        directory: where it begins.
        environment: its variables.
    """

    def __init__(self, namespace: str, directory: Path, environment: Mapping[str, str]) -> None:
        line = ["nsenter", f"--net=/run/netns/{namespace}", "bash", "--norc", "--noprofile"]
        self._output = directory / ".output"
        self._bash = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=directory, env=dict(environment)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bash.kill()
        self._bash.communicate()

    def run(self, text: str) -> tuple[int, str]:
        """Run a command to its end, and return its exit status and what it printed.

        Raises:
            TimeoutError: it does not end.
        """
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        line = f'{{ {text}\n}} </dev/null >"{self._output}" 2>&1; echo $?\n'
        self._bash.stdin.write(line.encode())
        self._bash.stdin.flush()
        if not select.select([self._bash.stdout], [], [], PATIENCE)[0]:
            raise TimeoutError(f"{text} does not end: {self._output.read_text()}")
        return int(self._bash.stdout.readline()), self._output.read_text()
