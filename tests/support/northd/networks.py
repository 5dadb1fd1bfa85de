"""Two databases in process with the compiler between them, and short words to edit Northbound."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from ovenbird.northd.findings import CompilerFindings
from ovenbird.ovsdb.database import Database
from support.northd.contradictions import contradictions

if TYPE_CHECKING:
    from ovenbird.ovsdb.transaction import Transaction

DHCP = (sb.DHCPOptions, sb.DHCPv6Options)
NUMBER = re.compile(
    r"(reg[68]\[0\.\.15\] ==? |reg7 ==? |ecmp_reply_port ==? |_rtr_lb_|set_queue\(|reg2\[16\.\.31\] = "
    r"|ct_label\[80\.\.95\] == )[1-9]\d*"
)
"""Numbers of groups, tables, ports, routers, queues and ACLs in flows; which is which depends on what came first."""
NUMBERED = ("qdisc_queue_id",)
"""Options of ports that are such numbers."""


class Networks:
    """A Northbound and a Southbound database, compiled on demand."""

    def __init__(self, northbound: Database | None = None, southbound: Database | None = None) -> None:
        self.nb = northbound or Database(nb.schema(), nb.ROWS)
        self.sb = southbound or Database(sb.schema(), sb.ROWS)
        self.time = 1000
        self.found = CompilerFindings()
        self.engine = build(self.nb.store, sb_store=self.sb.store, clock=lambda: self.time, findings=self.found)

    # -- edits ----------------------------------------------------------------------------------------------------

    def insert(self, row_class, into=None, database=None, **values):
        """Insert a row; ``into`` is the (row, column name) that is to refer to it."""
        txn = (database or self.nb).transaction()
        uuid = txn.insert(row_class, values)
        if into is not None:
            txn.mutate(into[0], into[1], insert=[uuid])
        txn.commit()
        return (database or self.nb).store.table(row_class).rows[uuid]

    def update(self, row, **values):
        txn = self._home(row).transaction()
        txn.update(row, values)
        txn.commit()

    def mutate(self, row, column, insert=(), delete=()):
        txn = self._home(row).transaction()
        txn.mutate(row, column, insert=[r.uuid for r in insert], delete=[r.uuid for r in delete])
        txn.commit()

    def delete(self, row, out_of=None):
        """Delete a row; one that lives by reference by taking it out of the (row, column name)."""
        if out_of is not None:
            self.mutate(*out_of, delete=[row])
            return
        txn = self._home(row).transaction()
        txn.delete(row)
        txn.commit()

    def _home(self, row):
        return self.nb if row.home.store is self.nb.store else self.sb

    def switch(self, name, **values):
        return self.insert(nb.LogicalSwitch, name=name, **values)

    def port(self, switch, name, *addresses, **values):
        return self.insert(nb.LogicalSwitchPort, (switch, "ports"), name=name, addresses=frozenset(addresses), **values)

    def group(self, name, *ports):
        return self.insert(nb.PortGroup, name=name, ports=frozenset(p.uuid for p in ports))

    def acl(self, owner, direction, match, action, priority=1, **values):
        return self.insert(
            nb.ACL, (owner, "acls"), direction=direction, match=match, action=action, priority=priority, **values
        )

    # -- compilation ----------------------------------------------------------------------------------------------

    def wave(self) -> dict[str, int]:
        """Run one wave and commit what it planned; return which rules and views ran."""
        self.engine.run()
        ran = dict(self.engine.ran)
        assert not self.engine.failures, self.engine.failures
        for database in (self.sb, self.nb):
            txn = database.transaction()
            for output in self.engine.outputs_of(database.store):
                output.plan(txn)
            if not txn.empty:
                txn.commit()
                self.quiet = False
        return ran

    def settle(self) -> dict[str, int]:
        """Run waves until nothing changes; return what the first one ran."""
        first = None
        for _ in range(10):
            self.quiet = True
            ran = self.wave()
            first = ran if first is None else first
            if self.quiet and self.engine.idle:
                return first
        raise AssertionError("the compiler does not settle")

    # -- what is there --------------------------------------------------------------------------------------------

    def rows(self, row_class):
        return list(self.sb.store.table(row_class).rows.values())

    def flows(self, *stages, datapath=None):
        """Return (stage, priority, match, actions) of flows, of one datapath's if given."""
        found = []
        for row in self.rows(sb.LogicalFlow):
            name = row.external_ids["stage-name"]
            if stages and name not in stages:
                continue
            if datapath is None or datapath in self.datapaths(row):
                found.append((name, row.priority, row.match, row.actions))
        return sorted(found)

    def contradictions(self):
        """Return the logical flows that say two things of one packet."""
        return contradictions(self.rows(sb.LogicalFlow))

    def findings(self) -> list[str]:
        """Return what the compiler has found wrong with Northbound."""
        return list(self.found)

    def datapaths(self, flow) -> frozenset[str]:
        """Return the names of the datapaths that a flow is for."""
        if flow.logical_datapath is not None:
            return frozenset([flow.logical_datapath.external_ids["name"]])
        return frozenset(d.external_ids["name"] for d in flow.logical_dp_group.datapaths)

    def image(self) -> dict[str, object]:
        """Return what the Southbound database says, without UUIDs and numbers that have no meaning of their own."""
        names = {d.tunnel_key: d.external_ids["name"] for d in self.rows(sb.DatapathBinding)}

        def group(name):
            key, _, rest = name.partition("_")
            return names.get(int(key), key), rest

        return {
            "flows": sorted(
                (
                    sorted(self.datapaths(f)),
                    f.pipeline,
                    f.table_id,
                    f.priority,
                    *(NUMBER.sub(r"\1N", text) for text in (f.match, f.actions)),
                    sorted(f.tags),
                    f.controller_meter,
                )
                for f in self.rows(sb.LogicalFlow)
                if self.datapaths(f)
            ),
            "ports": sorted(
                (
                    p.logical_port,
                    p.datapath.external_ids["name"],
                    p.type,
                    sorted((name, "N" if name in NUMBERED else value) for name, value in p.options.items()),
                    p.parent_port,
                    p.tag,
                    sorted(p.mac),
                    sorted(p.port_security),
                    sorted(p.external_ids.items()),
                    p.requested_chassis.name if p.requested_chassis else "",
                    sorted(p.nat_addresses),
                    p.ha_chassis_group.name if p.ha_chassis_group else "",
                    sorted(m.name for m in p.mirror_rules),
                )
                for p in self.rows(sb.PortBinding)
            ),
            "mirrors": sorted(
                (m.name, m.filter, m.sink, m.type, m.index, sorted(m.external_ids.items()))
                for m in self.rows(sb.Mirror)
            ),
            "datapaths": sorted(names.values()),
            "multicast": sorted(
                (m.datapath.external_ids["name"], m.name, m.tunnel_key, sorted(p.logical_port for p in m.ports))
                for m in self.rows(sb.MulticastGroup)
            ),
            "sets": sorted(
                (NUMBER.sub(r"\1N", a.name), sorted(a.addresses))
                for a in self.rows(sb.AddressSet)
                if a.name != "svc_monitor_mac"
            ),
            "groups": sorted((group(g.name), sorted(g.ports)) for g in self.rows(sb.PortGroup)),
            "meters": sorted((m.name, m.unit, [b.rate for b in m.bands]) for m in self.rows(sb.Meter)),
            "dns": sorted(
                (sorted(d.records.items()), sorted(p.external_ids["name"] for p in d.datapaths))
                for d in self.rows(sb.DNS)
            ),
            "candidates": sorted(
                (
                    group.name,
                    sorted((c.chassis.name if c.chassis else "", c.priority) for c in group.ha_chassis),
                    sorted(chassis.name for chassis in group.ref_chassis),
                )
                for group in self.rows(sb.HAChassisGroup)
            ),
            "sessions": sorted(
                (b.logical_port, b.dst_ip, b.min_tx, b.min_rx, b.detect_mult, b.status) for b in self.rows(sb.BFD)
            ),
            "neighbours": sorted(
                (m.logical_port, m.ip, m.mac, m.override_dynamic_mac, m.datapath.external_ids["name"])
                for m in self.rows(sb.StaticMACBinding)
            ),
            "dhcp": sorted((type(o).TABLE, o.name, o.code, o.type) for c in DHCP for o in self.rows(c)),
            "balancers": sorted(
                (
                    b.name,
                    sorted(b.vips.items()),
                    b.protocol or "",
                    sorted(b.options.items()),
                    sorted(d.external_ids["name"] for d in b.datapath_group.datapaths),
                )
                for b in self.rows(sb.LoadBalancer)
            ),
            "monitors": sorted(
                (m.logical_port, m.ip, m.port, m.protocol or "", m.src_ip, m.src_mac, sorted(m.options.items()))
                for m in self.rows(sb.ServiceMonitor)
            ),
            "snooping": sorted(
                (
                    m.datapath.external_ids["name"],
                    m.enabled,
                    m.querier,
                    m.table_size,
                    m.idle_timeout,
                    m.query_interval,
                    m.query_max_resp,
                    m.eth_src,
                    m.ip4_src,
                    m.ip6_src,
                )
                for m in self.rows(sb.IPMulticast)
            ),
            "advertised": sorted(
                (r.logical_port.logical_port, r.ip_prefix, r.tracked_port.logical_port if r.tracked_port else "")
                for r in self.rows(sb.AdvertisedRoute)
            ),
            "learned": sorted(
                (r.logical_port.logical_port, r.ip_prefix, r.nexthop) for r in self.rows(sb.LearnedRoute)
            ),
            "nexthops": sorted((row.nexthop, row.port.logical_port) for row in self.rows(sb.ECMPNexthop)),
            "persistent": sorted(row.uuid for row in self.rows(sb.ACLID)),
            "variables": sorted((v.chassis, sorted(v.variables.items())) for v in self.rows(sb.ChassisTemplateVar)),
            "nb_cfg": [g.nb_cfg for g in self.rows(sb.SBGlobal)],
        }

    def from_scratch(self) -> dict[str, object]:
        """Return the image of what a new compiler makes of the same Northbound, with chassis in the same places."""
        fresh = Networks(self.nb)
        txn = fresh.sb.transaction()
        for chassis in self.rows(sb.Chassis):
            encap = txn.insert(sb.Encap, {"type": "geneve", "ip": chassis.name, "chassis_name": chassis.name})
            values = {"name": chassis.name, "encaps": frozenset([encap]), "other_config": chassis.other_config}
            txn.insert(sb.Chassis, values)
        txn.commit()
        where = {chassis.name: chassis.uuid for chassis in fresh.rows(sb.Chassis)}
        for _ in range(2):
            fresh.make_southbound()
            txn = fresh.sb.transaction()
            for mine in self.rows(sb.PortBinding):
                theirs = fresh.sb.store.find(sb.PortBinding.logical_port, mine.logical_port)
                if mine.chassis is not None and theirs is not None:
                    txn.update(theirs, {"chassis": where[mine.chassis.name], "up": mine.up})
            for mine in self.rows(sb.BFD):
                for theirs in fresh.sb.store.select(sb.BFD.logical_port, mine.logical_port):
                    if theirs.dst_ip == mine.dst_ip and mine.status != "admin_down":
                        txn.update(theirs, {"status": mine.status})
            self._copy_reports(fresh, txn, where)
            if not txn.empty:
                txn.commit()
        fresh.make_southbound()
        for table in (*fresh.nb.store.tables.values(), *fresh.sb.store.tables.values()):
            table.watchers = [w for w in table.watchers if getattr(w, "engine", None) is not fresh.engine]
        return fresh.image()

    def _copy_reports(self, fresh: Networks, txn: Transaction, where: dict[str, str]) -> None:
        """Have chassis say to another Southbound what they say to this one: of probes, routes, and multicast."""
        monitors = {(m.logical_port, m.ip, m.port, m.protocol): m for m in fresh.rows(sb.ServiceMonitor)}
        for monitor in self.rows(sb.ServiceMonitor):
            theirs = monitors.get((monitor.logical_port, monitor.ip, monitor.port, monitor.protocol))
            if theirs is not None:
                txn.update(theirs, {"status": monitor.status})
        known = {d.external_ids["name"]: d.uuid for d in fresh.rows(sb.DatapathBinding)}
        bindings = {p.logical_port: p.uuid for p in fresh.rows(sb.PortBinding)}
        if not fresh.rows(sb.LearnedRoute):
            for row in self.rows(sb.LearnedRoute):
                port = bindings[row.logical_port.logical_port]
                values = {"datapath": known[row.datapath.external_ids["name"]], "logical_port": port}
                txn.insert(sb.LearnedRoute, values | {"ip_prefix": row.ip_prefix, "nexthop": row.nexthop})
        if fresh.rows(sb.IGMPGroup):
            return
        for row in self.rows(sb.IGMPGroup):
            if row.chassis is not None and row.datapath is not None:
                ports = frozenset([bindings[p.logical_port] for p in row.ports])
                values = {"datapath": known[row.datapath.external_ids["name"]], "chassis": where[row.chassis.name]}
                txn.insert(sb.IGMPGroup, values | {"address": row.address, "ports": ports})

    def make_southbound(self) -> None:
        """Run a wave and commit what is for Southbound; Northbound is another compiler's."""
        self.engine.run()
        assert not self.engine.failures, self.engine.failures
        txn = self.sb.transaction()
        for output in self.engine.outputs_of(self.sb.store):
            output.plan(txn)
        if not txn.empty:
            txn.commit()
