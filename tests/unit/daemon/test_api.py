"""What ``ovenbird api`` checks before it serves."""

from __future__ import annotations

from ovenbird.daemon.api import lacks
from ovenbird.daemon.findings import list_findings
from ovenbird.daemon.unixctl import Unixctl
from ovenbird.engine.engine import FactDelta
from ovenbird.engine.findings import FINDING
from ovenbird.model import cloud
from ovenbird.northd.findings import Findings
from ovenbird.ovsdb.schema import DatabaseSchema


def test_a_cloud_of_this_release_or_a_newer_one_will_do():
    text = cloud.schema().to_json()
    assert not lacks(DatabaseSchema.from_json(text))
    text["tables"]["Port"]["columns"]["colour"] = {"type": "string"}
    assert not lacks(DatabaseSchema.from_json(text))


def test_an_older_cloud_is_named_with_what_it_lacks():
    text = cloud.schema().to_json()
    del text["tables"]["Port"]["columns"]["dns_domain"]
    del text["tables"]["Quota_Turn"]
    why = lacks(DatabaseSchema.from_json({**text, "version": "1.0.0"}))
    assert "1.0.0, which lacks Port.dns_domain, Quota_Turn.project_id" in why


def test_one_command_lists_what_several_compilers_leave_out(tmp_path):
    unixctl, one, two = Unixctl(tmp_path / "ctl", "1"), Findings(), Findings()
    list_findings(unixctl, one, two)
    for some, text in ((two, "of Northbound"), (one, "of Cloud")):
        delta = FactDelta()
        delta.added.append((FINDING, "Router", "id", text))
        some.absorb({FINDING: delta})
    assert unixctl.commands["findings/list"].run([]) == "of Cloud\nof Northbound\n"
