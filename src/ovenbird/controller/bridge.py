"""The integration bridge itself: made if it is not there, and kept from switching anything by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.facts import BRIDGE, EDIT
from ovenbird.controller.own import progress
from ovenbird.controller.settings import bridge_name, integration_bridge, settings
from ovenbird.engine.lookups import rows
from ovenbird.engine.rules import singleton
from ovenbird.model.vswitch import Bridge, OpenVSwitch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

_DEFAULT_TYPE = "system"
"""What an empty Bridge.datapath_type means; Chassis.other_config:datapath-type says it in full."""


@singleton
def bridge() -> Iterator[Fact]:
    """Make the integration bridge, `fail_mode=secure` and without in-band control (ovn-architecture(7))."""
    mine = settings()
    if not mine.chassis or not rows(OpenVSwitch) or progress().stopping:
        return
    there = integration_bridge()
    if there is None:
        yield BRIDGE(bridge_name(), mine.bridge_datapath_type or _DEFAULT_TYPE)
        return
    changes: list[tuple[str, object]] = []
    wanted = mine.bridge_datapath_type or there.datapath_type or _DEFAULT_TYPE
    if there.datapath_type != wanted:
        changes.append(("datapath_type", wanted))
    if there.fail_mode != "secure":
        changes.append(("fail_mode", "secure"))
    if there.other_config.get("disable-in-band") != "true":
        changes.append(("other_config", (("disable-in-band", "true"),)))
    if changes:
        yield EDIT(Bridge, there.uuid, tuple(changes))
