"""Every logical flow that a newer northd makes of the golden pages' networks can be read, and has an OpenFlow table."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovenbird.lang.actions.registry import parse_actions
from ovenbird.lang.errors import LangError
from ovenbird.lang.parser import parse
from ovenbird.lang.template_variables import PREFIX
from ovenbird.pipeline.openflow_tables import openflow_table
from support.northd.newer_oracle import DIRECTORY, NewerOracle

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGES = sorted((Path(__file__).parents[2] / "golden").glob("*.md"))
BLOCK = re.compile(r"^```nbctl[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FAULTS = {"dhcp": "ls_in_dhcp_options", "dhcp_relay": "ls_in_l2_lkup", "forwarding_groups": "ls_in_arp_rsp"}
"""Stages of pages where flows of OVN 25.03 cannot be read by anybody.

A host name without quotes, a MAC address that was freed before it was written, an ARP reply about an IPv6 address.
"""


@pytest.fixture
def newer() -> Iterator[NewerOracle]:
    if DIRECTORY is None:
        pytest.skip("OVENBIRD_NEWER_OVN names no directory with the programs of a newer OVN")
    directory = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = NewerOracle(directory)
    try:
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_flows_of_a_newer_northd_are_read(newer: NewerOracle, page: Path) -> None:
    count = 0
    for block in BLOCK.findall(page.read_text()):
        newer.edit(block)
        newer.sync()
        for row in newer.theirs.select("Logical_Flow", "match", "actions", "table_id", "pipeline", "external_ids"):
            stage = dict(row["external_ids"][1]).get("stage-name")
            assert openflow_table(row["pipeline"], row["table_id"])
            if PREFIX in row["match"] + row["actions"]:
                continue  # a template, of which a chassis reads what it makes
            count += 1
            try:
                parse(row["match"])
                parse_actions(row["actions"])
            except LangError:
                assert FAULTS.get(page.stem) == stage, row
    assert count > 50
