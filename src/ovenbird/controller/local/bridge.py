"""The integration bridge: it is created if it does not exist, and does no switching of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ovenbird.controller.facts import BRIDGE, EDIT
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.settings import bridge_name, integration_bridge, settings
from ovenbird.engine.lookups import rows
from ovenbird.engine.rules import singleton
from ovenbird.engine.views import view
from ovenbird.model.vswitch import Bridge, OpenVSwitch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact

_DEFAULT_TYPE = "system"
"""What an empty Bridge.datapath_type means; Chassis.other_config:datapath-type says it in full."""


_NETDEV_FIXED = (3, 3)


@view
def zero_snat() -> bool:
    """Return whether conntrack may choose the source by which a connection is known in its zone.

    The original asks for that where it can, so that a connection to a load balancer's address and one to the backend
    itself never look alike. The userspace datapath of Open vSwitch before 3.3 then ends the switch at an assertion
    when echoes and ICMP errors cross, which any guest can provoke (`conn_update_state`; connections under
    translation are one object since 3.3). A switch that does not say its version counts as an older one.
    """
    there, switch = integration_bridge(), rows(OpenVSwitch)
    if there is None or there.datapath_type != "netdev" or not switch:
        return True
    found = re.match(r"(\d{1,4})\.(\d{1,4})", switch[0].ovs_version or "")
    return found is not None and (int(found[1]), int(found[2])) >= _NETDEV_FIXED


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
