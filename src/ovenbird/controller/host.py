"""The parts of a chassis that do not depend on its Southbound: local database, bridge, protocols, its own rows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ovenbird.controller.facts import ANNOUNCED, BALANCED, FAILED, LABELLED, LIMIT, NOTICE
from ovenbird.controller.local.chassis import is_acknowledgement
from ovenbird.controller.local.local_store import ProgressRow, make_local_store
from ovenbird.controller.local.notices import Notices, warning
from ovenbird.controller.local.settings import Settings, read_settings
from ovenbird.controller.ofctrl.bridge_session import BridgeSession
from ovenbird.controller.ofctrl.zone_limits import ZoneLimits
from ovenbird.controller.physical.port_retries import PortRetries
from ovenbird.controller.pinctrl.dispatch import PacketIns
from ovenbird.controller.protocols.protocols import Protocols
from ovenbird.controller.routes.route_exchange import KernelExchange
from ovenbird.controller.rules import SWITCH
from ovenbird.driver.rule_counters import RuleCounters
from ovenbird.engine.findings import FINDING
from ovenbird.model import vswitch
from ovenbird.ovsdb.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ovenbird.controller.edits import Edit
    from ovenbird.controller.facts import Notice
    from ovenbird.controller.southbound.edit_writers import EditWriters
    from ovenbird.driver.engine_driver import EngineDriver, Sink
    from ovenbird.engine.facts import Fact, Relation
    from ovenbird.openflow.messages import PacketIn

_NO_IDS: Mapping[str, str] = {}
_TELLING = 1.0
"""Minimum seconds between two updates of this host's findings in Southbound."""


class Host:
    """The parts of a chassis that outlast a change of Southbound.

    Arguments:
        local_remote: the local Open_vSwitch database.
        system_id: the chassis's name, which overrides the database's.
        run_directory: where the bridge's OpenFlow socket is.
    """

    def __init__(self, local_remote: str, *, system_id: str, run_directory: Path) -> None:
        self.run_directory = run_directory
        self.system_id = system_id
        self.vswitch = Replica(local_remote, database="Open_vSwitch", row_classes=SWITCH, probe=0)
        self.own = make_local_store(system_id)
        self.progress = ProgressRow(self.own, self.wake)
        self.name = ""
        """The chassis's, as it was when a wave last ran."""
        self.driver: EngineDriver | None = None
        """Runs the rules, while there is a Southbound."""
        self.edits: EditWriters | None = None
        """What rules want in databases, while there is a Southbound."""
        self.notices = Notices()
        """The parts of this chassis's configuration that have no effect."""
        self.retries = PortRetries(self.vswitch)
        self.switch = BridgeSession(self._waiting, self._confirmed, self._packet)
        self.limits = ZoneLimits(run_directory, self._datapath)
        self.switch.on_met = self.limits.compare
        self._read_from: Mapping[str, str] = _NO_IDS
        self._settings = read_settings(_NO_IDS, self.system_id)
        self.report_delay = 0.0
        """Seconds for which the acknowledgement of `nb_cfg` is put off (`debug/delay-nb-cfg-report`)."""
        self.rule_counters = RuleCounters()
        """The runs of rules for whatever Southbound there was."""
        self.protocols = Protocols(self.switch.send, self.own, self.wake, lambda: self.switch.has_flows)
        self.routes = KernelExchange(self.own, self.wake)
        self.packet_ins = PacketIns(self.switch.send, self.protocols.listeners)
        self._telling: asyncio.TimerHandle | None = None

    @property
    def settings(self) -> Settings:
        """The present configuration from the local database, parsed once for each value of its column."""
        rows = list(self.vswitch.store.table(vswitch.OpenVSwitch).rows.values())
        ids = rows[0].external_ids if rows else _NO_IDS
        if ids is not self._read_from:
            self._settings, self._read_from = read_settings(ids, self.system_id), ids
        return self._settings

    @property
    def bridge(self) -> vswitch.Bridge | None:
        """The integration bridge's row."""
        return self.vswitch.store.find(vswitch.Bridge.name, self.settings.bridge)

    @property
    def bridge_ids(self) -> dict[str, str]:
        """The integration bridge's external_ids."""
        bridge = self.bridge
        return bridge.external_ids if bridge is not None else {}

    def wake(self) -> None:
        """Have a wave run soon."""
        if self.driver is not None:
            self.driver.schedule()

    def installed_sinks(self) -> list[tuple[Relation, Sink]]:
        """Return what takes in the facts that the switch holds."""
        return [*self.switch.sinks(), (LIMIT, self.limits.absorb)]

    def sinks(self) -> list[tuple[Relation, Sink]]:
        """Return what takes in facts here, by relation."""
        return [
            *self.installed_sinks(),
            (BALANCED, self.switch.forget_connections),
            (LABELLED, self.switch.forget_connections),
            (FAILED, self.retries.absorb),
            (NOTICE, self._absorb_notices),
            (FINDING, self._absorb_findings),
            *self.protocols.sinks(),
            *self.routes.sinks(),
            (ANNOUNCED, self.packet_ins.mac_learning.absorb),
        ]

    def tell_findings_soon(self) -> None:
        """Schedule an update of this host's findings in Southbound; changes close together are one update."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_later(_TELLING, self._tell_findings)

    def close(self) -> None:
        """Stop sending."""
        if self._telling is not None:
            self._telling.cancel()
        self.protocols.close()
        self.routes.close()

    def _absorb_notices(self, *, added: Sequence[Notice], removed: Sequence[Notice]) -> None:
        self.notices.absorb(added=added, removed=removed)
        self.tell_findings_soon()

    def _absorb_findings(self, *, added: Sequence[Fact], removed: Sequence[Fact]) -> None:
        """Process the engine's own findings: rows for which a pool has no id left."""
        self._absorb_notices(
            added=[warning(text) for *_, text in added], removed=[warning(text) for *_, text in removed]
        )

    def _tell_findings(self) -> None:
        """Pass this host's findings to the rules."""
        self._telling = None
        self.progress.tell(findings=self.notices.findings)

    def _datapath(self) -> str:
        """Return the name of the integration bridge's datapath, for commands to the switch."""
        bridge = self.bridge
        return "netdev@ovs-netdev" if bridge is not None and bridge.datapath_type == "netdev" else "system@ovs-system"

    def _waiting(self) -> Sequence[Edit]:
        return self.edits.waiting() if self.edits is not None else ()

    def _confirmed(self, facts: Sequence[Edit]) -> None:
        if self.edits is None:
            return
        if self.report_delay:
            late = [fact for fact in facts if is_acknowledgement(fact)]
            facts = [fact for fact in facts if fact not in late]
            asyncio.get_running_loop().call_later(self.report_delay, self._confirm_late, late)
        self.edits.confirm(facts)

    def _confirm_late(self, facts: Sequence[Edit]) -> None:
        """Confirm edits that were put off; of those that are not wanted any more there is nothing to write."""
        if self.edits is not None:
            self.edits.confirm(facts)

    def _packet(self, packet: PacketIn) -> None:
        self.packet_ins.receive(packet)
