"""Each kind of fact that the controller's rules yield is processed by a part of the host."""

from __future__ import annotations

from ovenbird.controller import facts
from ovenbird.controller.facts import AGED, MONITOR_CLAUSE, ZONE
from ovenbird.controller.host import Host
from ovenbird.engine.facts import Relation
from ovenbird.engine.findings import FINDING


async def test_every_relation_has_a_sink(tmp_path):
    host = Host(f"unix:{tmp_path}/db.sock", system_id="", run_directory=tmp_path)
    followed = {relation for relation, _ in host.sinks()}
    of_southbound = {AGED, MONITOR_CLAUSE, ZONE}
    of_rules = {value for value in vars(facts).values() if isinstance(value, Relation)}
    assert followed | of_southbound == of_rules | {FINDING}
