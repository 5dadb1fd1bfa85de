"""The integration bridge: it is created if it does not exist, and does no switching of its own.

The module also has the edits by which rules add ports to bridges and remove them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ovenbird.controller.edits import EDIT, Change, EditRelation, keys, to
from ovenbird.controller.local.local_store import progress
from ovenbird.controller.local.settings import bridge_name, integration_bridge, settings
from ovenbird.engine.lookups import rows
from ovenbird.engine.rules import singleton
from ovenbird.engine.views import view
from ovenbird.model.vswitch import Bridge, Interface, OpenVSwitch, Port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovenbird.engine.facts import Fact
    from ovenbird.engine.rows import UUID, Row, Store
    from ovenbird.ovsdb.transaction import Transaction

_DEFAULT_TYPE = "system"
"""The meaning of an empty Bridge.datapath_type, for Chassis.other_config:datapath-type."""
_PROTOCOL = "OpenFlow15"
"""What controllers speak; an empty Bridge.protocols allows it, too."""

_NETDEV_FIXED = (3, 3)


class NewBridge(NamedTuple):
    """A bridge to create, with `fail_mode=secure` and without in-band control."""

    relation: EditRelation[..., Any]
    name: str
    datapath_type: str

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return Bridge

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the new bridge {self.name}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Create the bridge and its local port.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        root = next(iter(store.table(OpenVSwitch).rows.values()))
        interface = transaction.insert(Interface, {"name": self.name, "type": "internal"})
        port = transaction.insert(Port, {"name": self.name, "interfaces": frozenset([interface])})
        values = {
            "name": self.name, "datapath_type": self.datapath_type, "fail_mode": "secure", "ports": frozenset([port]),
            "other_config": {"disable-in-band": "true"},
        }  # fmt: skip
        transaction.mutate(root, "bridges", insert=[transaction.insert(Bridge, values)])


class NewPort(NamedTuple):
    """A port to be added to a bridge, with its one interface; options and ids are pairs."""

    relation: EditRelation[..., Any]
    bridge: UUID
    name: str
    kind: str
    options: tuple[tuple[str, str], ...]
    ids: tuple[tuple[str, str], ...]

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return Port

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the new port {self.name}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Create the port, unless its bridge was deleted.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        row = store.table(Bridge).rows.get(self.bridge)
        if row is None:
            return
        content = {"name": self.name, "type": self.kind, "options": dict(self.options)}
        interface = transaction.insert(Interface, content)
        values = {"name": self.name, "interfaces": frozenset([interface]), "external_ids": dict(self.ids)}
        transaction.mutate(row, "ports", insert=[transaction.insert(Port, values)])


class SurplusPort(NamedTuple):
    """A port to remove from a bridge."""

    relation: EditRelation[..., Any]
    bridge: UUID
    port: UUID

    @property
    def row_class(self) -> type[Row]:
        """The table that it is about."""
        return Port

    @property
    def subject(self) -> str:
        """What it is about, for logs."""
        return f"the removal of port {self.port}"

    def stage(self, store: Store, transaction: Transaction) -> None:
        """Remove the port, unless the bridge was deleted.

        Arguments:
            store: Open_vSwitch's rows.
            transaction: on that database.
        """
        row = store.table(Bridge).rows.get(self.bridge)
        if row is not None:
            transaction.mutate(row, "ports", delete=[self.port])


BRIDGE = EditRelation("bridge to add", NewBridge)
ADD_PORT = EditRelation("port to add", NewPort)
DROP_PORT = EditRelation("port to drop", SurplusPort)


@view
def zero_snat() -> bool:
    """Return whether conntrack may choose the source by which a connection is known in its zone.

    ovn-controller uses that where it can, so that a connection to a load balancer's address and one to the backend
    itself never have the same tuple. With the userspace datapath of Open vSwitch before 3.3, the switch then aborts
    at an assertion when echoes and ICMP errors cross, which any guest can provoke (`conn_update_state`; translated
    connections are one object since 3.3). A switch that does not report its version is taken for an older one.
    """
    there, switch = integration_bridge(), rows(OpenVSwitch)
    if there is None or there.datapath_type != "netdev" or not switch:
        return True
    found = re.match(r"(\d{1,4})\.(\d{1,4})", switch[0].ovs_version or "")
    return found is not None and (int(found[1]), int(found[2])) >= _NETDEV_FIXED


@singleton
def bridge() -> Iterator[Fact]:
    """Make the integration bridge, `fail_mode=secure` and without in-band control (ovn-architecture(7)).

    A list of protocols that somebody has given it is completed by the one that is spoken here.
    """
    mine = settings()
    if not mine.chassis or not rows(OpenVSwitch) or progress().stopping:
        return
    there = integration_bridge()
    if there is None:
        yield BRIDGE(name=bridge_name(), datapath_type=mine.bridge_datapath_type or _DEFAULT_TYPE)
        return
    changes: list[Change[Bridge]] = []
    wanted = mine.bridge_datapath_type or there.datapath_type or _DEFAULT_TYPE
    if there.datapath_type != wanted:
        changes.append(to(Bridge.datapath_type, wanted))
    if there.fail_mode != "secure":
        changes.append(to(Bridge.fail_mode, "secure"))
    if there.other_config.get("disable-in-band") != "true":
        changes.append(keys(Bridge.other_config, ("disable-in-band", "true")))
    if there.protocols and _PROTOCOL not in there.protocols:
        changes.append(to(Bridge.protocols, there.protocols | {_PROTOCOL}))
    if changes:
        yield EDIT(there, *changes)
