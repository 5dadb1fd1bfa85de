"""What is on a wire: tcpdump (tcpdump(1)) in a namespace, whose lines a test waits for."""

from __future__ import annotations

import re
import subprocess
import threading
from typing import IO, TYPE_CHECKING, Self

import pytest

from ovenbird.lab.requirements import environment, find_program
from support.waiting import until

if TYPE_CHECKING:
    from types import TracebackType

    from ovenbird.lab.namespace import Namespace


def _collect(stream: IO[str], lines: list[str]) -> None:
    for line in stream:
        lines.append(line)  # noqa: PERF402 - each is there as soon as it is read


class Capture:
    """A running tcpdump; a context manager. Entered, it listens already.

    Args:
        namespace: where.
        device: which device it listens at.
        expression: which packets it prints, as pcap-filter(7) has it.
    """

    def __init__(self, namespace: Namespace, device: str, expression: str) -> None:
        if not find_program("tcpdump"):
            pytest.skip("missing tcpdump: apt-get install tcpdump")
        self.lines: list[str] = []
        self._complaints: list[str] = []
        argv = ("tcpdump", "-n", "-e", "-l", "-i", device, "--immediate-mode", expression)
        self._popen = subprocess.Popen(
            namespace.enter(*argv),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        streams = ((self._popen.stdout, self.lines), (self._popen.stderr, self._complaints))
        self._readers = [threading.Thread(target=_collect, args=pair) for pair in streams]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        try:
            until(lambda: self._popen.poll() is not None or self._listens, what="tcpdump to listen")
            assert self._listens, self._complaints
        except BaseException:
            self._end()
            raise
        return self

    @property
    def _listens(self) -> bool:
        return any("listening on" in line for line in list(self._complaints))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self._popen.terminate()
        self._popen.wait(10)
        for reader in self._readers:
            reader.join()
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()

    def find(self, pattern: str) -> str | None:
        """Return the first line that matches, None while there is none."""
        return next((line for line in list(self.lines) if re.search(pattern, line)), None)

    def wait(self, pattern: str) -> str:
        """Wait for a line that matches, and return it.

        Raises:
            AssertionError: there is none.
        """
        try:
            until(lambda: self.find(pattern) is not None, what=pattern)
        except Exception as error:
            raise AssertionError(f"no packet is like {pattern!r}:\n{''.join(self.lines)}") from error
        return self.find(pattern) or ""


def announced(address: str) -> str:
    """Return what tcpdump prints of a gratuitous ARP packet, which goes to everybody."""
    quoted = re.escape(address)
    return rf"> ff:ff:ff:ff:ff:ff.*(who-has {quoted} .*tell {quoted}|Reply {quoted} is-at)"
