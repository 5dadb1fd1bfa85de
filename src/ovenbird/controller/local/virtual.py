"""Virtual ports: addresses that move between instances, such as VRRP's.

A port of type `virtual` is located at the instance that announced its address last (ovn-nb(5), Logical_Switch_Port,
`virtual-parents`; ovn-sb(5), bind_vport). A flow sends the announcement to the controller; the chassis that received it
binds the port to the chassis of the announcing parent, and releases it when that parent is unplugged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.controller.edits import EDIT, to
from ovenbird.controller.local.local_data import is_chassis_resident, is_relevant
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.settings import own_chassis
from ovenbird.engine.rules import rule
from ovenbird.model.sb import PortBinding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact


@rule(PortBinding, when=is_relevant)
def release(port: PortBinding) -> Iterator[Fact]:
    """Release a virtual port whose parent is no longer here."""
    mine = own_chassis()
    if port.type != "virtual" or mine is None or PortBinding.chassis.raw(port) != mine or progress().stopping:
        return
    if not is_chassis_resident(port.virtual_parent or ""):
        released = (to(PortBinding.chassis, None), to(PortBinding.virtual_parent, None))
        yield EDIT(port, *released, holder=PortBinding.chassis)
