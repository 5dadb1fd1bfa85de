"""What ``ovenbird api`` checks before it serves."""

from __future__ import annotations

from ovenbird.daemon.api import lacks
from ovenbird.model import cloud
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
