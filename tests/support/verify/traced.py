"""A Northbound and a Southbound in process, compiled, and the tracer over them; or logical flows written by hand."""

from __future__ import annotations

import asyncio
import threading

from ovenbird.model import nb, sb
from ovenbird.northd.build import build
from ovenbird.northd.features import EXPLANATIONS
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from ovenbird.ovsdb.tls_keys import KeyFiles, TlsKeys
from ovenbird.verify.network import LogicalNetwork
from ovenbird.verify.provenance import Provenance
from ovenbird.verify.trace import Tracer

_TLS = "pssl:0:127.0.0.1"


class Traced:
    """Edits Northbound, compiles, traces."""

    def __init__(self) -> None:
        self.nb = Database(nb.schema(), nb.ROWS)
        self.sb = Database(sb.schema(), sb.ROWS)
        self.engine = build(self.nb.store, sb_store=self.sb.store)

    def insert(self, row_class, into=None, database=None, **values):
        database = database or self.nb
        txn = database.transaction()
        uuid = txn.insert(row_class, values)
        if into is not None:
            txn.mutate(into[0], into[1], insert=[uuid])
        txn.commit()
        return database.store.table(row_class).rows[uuid]

    def switch(self, name, **values):
        return self.insert(nb.LogicalSwitch, name=name, **values)

    def port(self, switch, name, *addresses, **values):
        return self.insert(nb.LogicalSwitchPort, (switch, "ports"), name=name, addresses=frozenset(addresses), **values)

    def group(self, name, *ports):
        return self.insert(nb.PortGroup, name=name, ports=frozenset(port.uuid for port in ports))

    def acl(self, owner, direction, match, action, priority, **values):
        row = {"direction": direction, "match": match, "action": action, "priority": priority}
        return self.insert(nb.ACL, (owner, "acls"), **row, **values)

    def compile(self) -> None:
        """Bring Southbound up to date."""
        for _ in range(10):
            self.engine.run()
            assert not self.engine.failures, self.engine.failures
            quiet = True
            for database in (self.sb, self.nb):
                txn = database.transaction()
                for output in self.engine.outputs_of(database.store):
                    output.plan(txn)
                if not txn.empty:
                    quiet = False
                    txn.commit()
            if quiet:
                return
        raise AssertionError("the compiler does not settle")

    def tracer(self, cloud_store=None) -> Tracer:
        self.compile()
        return Tracer(
            LogicalNetwork(self.sb.store), Provenance(EXPLANATIONS, northbound=self.nb.store, cloud_store=cloud_store)
        )

    # -- Southbound by hand ---------------------------------------------------------------------------------------

    def datapath(self, name, key, **ports):
        """Make a logical switch of Southbound with ports of these keys."""
        ids = {"logical-switch": f"{key:08x}-0000-4000-8000-000000000000", "name": name}
        row = self.insert(sb.DatapathBinding, database=self.sb, tunnel_key=key, external_ids=ids)
        for port, (port_key, kind, options) in ports.items():
            values = {"logical_port": port, "tunnel_key": port_key, "type": kind, "options": options}
            self.insert(sb.PortBinding, database=self.sb, datapath=row.uuid, **values)
        return row

    def flow(self, datapath, pipeline, table, match, actions, priority=1):
        values = {"pipeline": pipeline, "table_id": table, "match": match, "actions": actions, "priority": priority}
        self.insert(sb.LogicalFlow, database=self.sb, logical_datapath=datapath.uuid, **values)

    def by_hand(self) -> Tracer:
        return Tracer(LogicalNetwork(self.sb.store), Provenance(EXPLANATIONS))


def distribute(world, txn):
    """Make the router of `routed` a distributed one, whose gateway port is the outer one."""
    txn.update(next(iter(world.nb.store.table(nb.LogicalRouter).rows.values())), {"options": {}})
    gateway = txn.insert(nb.GatewayChassis, {"name": "r-out-hv1", "chassis_name": "hv1", "priority": 1})
    txn.mutate(world.nb.store.find(nb.LogicalRouterPort.name, "r-out"), "gateway_chassis", insert=[gateway])


class Served:
    """A server with databases, in a thread of its own: at unix sockets in a directory, or with keys at a TLS port."""

    def __init__(self, directory, keys: KeyFiles | None = None, **databases: Database) -> None:
        self.remotes = {name: f"unix:{directory}/{name}.sock" for name in databases}
        self._databases, self._keys = databases, keys
        self._started, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def __enter__(self):
        self._thread.start()
        assert self._started.wait(10)
        return self.remotes

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the server does not end"
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = Server(self._keys and TlsKeys(lambda: self._keys))
        for database in self._databases.values():
            server.add(database)
        for remote in self.remotes.values():
            await server.listen(f"p{remote}")
        if self._keys:
            await server.listen(_TLS)
            self.remotes = dict.fromkeys(self.remotes, f"ssl:127.0.0.1:{server.port(_TLS)}")
        self._started.set()
        await self._stop.wait()
        await server.close()
