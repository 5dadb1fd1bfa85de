"""Edits of a cloud's Northbound that Debian's ovn-nbctl has no words for (``support.northd.newer_rows``)."""

from __future__ import annotations

import json
import subprocess

from support.northd import newer_rows


class NewerRows:
    """A client of a server.

    Arguments:
        remote: the server's.
    """

    def __init__(self, remote: str) -> None:
        self.remote = remote

    def edit(self, line: str) -> None:
        """Run one line."""
        newer_rows.run(self, line)

    def transact(self, *operations: object) -> list[dict]:
        """Run operations of one transaction."""
        text = json.dumps(["OVN_Northbound", *operations])
        done = subprocess.run(
            ["ovsdb-client", "transact", self.remote, text], capture_output=True, text=True, check=True
        )
        answers = json.loads(done.stdout)
        assert not any((answer or {}).get("error") for answer in answers), answers
        return answers
