"""The findings of a compiler in Cloud, where the API shows them.

Each compiler has its own rows, which its active instance keeps equal to its findings. It writes at most once a
second, `MOST` rows of `LONGEST_FINDING` bytes of text; if there are more, the last row says so.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import TYPE_CHECKING

from ovenbird.model.cloud import Finding
from ovenbird.northd.findings import Found
from ovenbird.ovsdb.errors import Disconnected, OvsdbError

if TYPE_CHECKING:
    from ovenbird.northd.findings import CompilerFindings
    from ovenbird.ovsdb.commit import Commit
    from ovenbird.ovsdb.transaction import Client

log = logging.getLogger(__name__)

MOST = 1000
"""Maximum findings of a compiler that are written."""
LONGEST_FINDING = 1024
"""Maximum bytes of a finding's text."""
PAUSE = 1.0
"""Minimum seconds between two changes of the rows."""
AFTER_REFUSAL = 60.0
"""Seconds until a refused write is tried again."""


class FindingWriter:
    """Keeps the rows of one compiler in Cloud equal to its findings, while it is active.

    Arguments:
        reporter: the compiler's name in the rows.
        findings: those of the compiler.
        client: follows Cloud, or will.
    """

    def __init__(self, reporter: str, findings: CompilerFindings, client: Client) -> None:
        self.reporter = reporter
        self.findings = findings
        self.client = client
        self._wake = asyncio.Event()
        findings.watchers.append(self._wake.set)

    async def run(self, pause: float = PAUSE) -> None:
        """Write until cancelled, or until the client is closed.

        Arguments:
            pause: seconds from one change of the rows to the next.
        """
        stop = self.client.on_change(self._changed)
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self.client.synchronized()
                await asyncio.sleep(await self._write() or pause)
        except Disconnected:
            return  # the client is closed: one that is not connected at the moment is waited for
        finally:
            stop()

    def _changed(self, commit: Commit) -> None:
        """Compare the rows again if another client has changed them."""
        if Finding.TABLE in commit.changes:
            self._wake.set()

    async def _write(self) -> float:
        """Make the rows equal to the findings; return the seconds to wait before trying again, 0 if it is done."""
        if not self.findings.known:
            return 0
        missing = dict.fromkeys(self._wanted())
        transaction = self.client.transaction()
        for row in self.client.store.table(Finding).rows.values():
            if row.reporter != self.reporter:
                continue
            found = Found(table=row.row_table, row=row.row_uuid, text=row.text)
            if found in missing:
                del missing[found]
            else:
                transaction.delete(row)
        for found in missing:
            transaction.insert(Finding, dict(zip(_NAMES, (self.reporter, *found), strict=True)))
        if transaction.empty:
            return 0
        try:
            await self.client.commit(transaction)
        except Disconnected:
            self._wake.set()
        except OvsdbError as refusal:
            self._wake.set()
            log.warning("findings of %s cannot be written to Cloud: %s", self.reporter, refusal)
            return AFTER_REFUSAL
        return 0

    def _wanted(self) -> list[Found]:
        """Return the wanted contents of the rows."""
        found = self.findings.all()
        wanted = [one._replace(text=shortened(one.text)) for one in islice(found, MOST)]
        if len(found) > MOST:
            text = f"{len(found) - MOST} more findings are in the log of {self.reporter}, and its findings/list has all"
            wanted.append(Found(table="", row="", text=text))
        return wanted


_NAMES = ("reporter", "row_table", "row_uuid", "text")


def shortened(text: str) -> str:
    """Return a text of at most `LONGEST_FINDING` bytes in UTF-8, with an ellipsis where something was left out."""
    octets = text.encode(errors="replace")
    if len(octets) <= LONGEST_FINDING:
        return octets.decode()
    return octets[: LONGEST_FINDING - len("…".encode())].decode(errors="ignore") + "…"
