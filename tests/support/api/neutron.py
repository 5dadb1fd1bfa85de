"""The application over databases in process, asked over ASGI."""

from __future__ import annotations

import asyncio

import httpx

from ovenbird.api.http.app import create_app
from ovenbird.model import cloud, nb, sb
from ovenbird.ovsdb.database import Database


class InProcess:
    """What the API needs of a client, over a database of its own."""

    def __init__(self, schema, rows):
        self.database = Database(schema, rows)
        self.store = self.database.store
        self.connected = True
        self.interfere = []

    async def answers(self, seconds):
        del seconds
        return self.connected

    def transaction(self):
        return self.database.transaction()

    async def synchronized(self):
        if not self.connected:
            await asyncio.Event().wait()

    async def commit(self, transaction, *, durable=False, until=None):
        while self.interfere:
            self.interfere.pop()()
        return self.database.commit(transaction)


class Neutron:
    """Speaks to the API as clients do; answers are (status, body)."""

    def __init__(self):
        self.cloud = InProcess(cloud.schema(), cloud.ROWS)
        self.northbound = InProcess(nb.schema(), nb.ROWS)
        self.southbound = InProcess(sb.schema(), sb.ROWS)
        self.app = create_app(self.cloud, northbound=self.northbound, southbound=self.southbound)
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://neutron")

    async def ask(self, method, path, body=None, **headers):
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.request(method, f"/v2.0/{path}", json=body, headers=sent)
        return answer.status_code, answer.json() if answer.content else None

    async def create(self, member, **values):
        path = {"security_group": "security-groups", "security_group_rule": "security-group-rules"}
        status, body = await self.ask("POST", path.get(member, f"{member}s"), {member: values})
        assert status == 201, body
        return body[member]

    async def refused(self, status, kind, method, path, body=None, **headers):
        """Ask for what cannot be; return the message."""
        got, answer = await self.ask(method, path, body, **headers)
        assert got == status, answer
        assert answer["NeutronError"]["type"] == kind, answer
        assert answer["NeutronError"]["detail"] == ""
        return answer["NeutronError"]["message"]

    async def list(self, path):
        status, body = await self.ask("GET", path)
        assert status == 200, body
        return next(iter(body.values()))

    async def network(self, **values):
        return await self.create("network", **{"name": "net"} | values)

    async def subnet(self, network, **values):
        given = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24"}
        return await self.create("subnet", **given | values)

    async def outside(self, **values):
        """Make an external network with a subnet."""
        physical = {"provider:network_type": "flat", "provider:physical_network": "public"}
        network = await self.network(**{"name": "public", "router:external": True} | physical | values)
        return network, await self.subnet(network, cidr="203.0.113.0/24", enable_dhcp=False)

    async def act(self, router, action, /, **body):
        """Do one of a router's actions."""
        got, answer = await self.ask("PUT", f"routers/{router['id']}/{action}", body)
        assert got == 200, answer
        return answer

    async def routed(self):
        """Make a network and a router between it and an external one; return them with the subnet and a port."""
        outside, _ = await self.outside()
        network = await self.network()
        subnet = await self.subnet(network)
        router = await self.create("router", external_gateway_info={"network_id": outside["id"]})
        await self.act(router, "add_router_interface", subnet_id=subnet["id"])
        return outside, network, subnet, router, await self.port(network)

    def chassis(self, name, hostname=None, config=None, ids=None, answered=0):
        """Register a chassis as its controller does."""
        transaction = self.southbound.transaction()
        number = len(self.southbound.store.table(sb.Chassis)) + 1
        encap = transaction.insert(sb.Encap, {"type": "geneve", "ip": f"192.0.2.{number}", "chassis_name": name})
        values = {"name": name, "hostname": hostname or name, "encaps": frozenset((encap,))}
        row = transaction.insert(sb.Chassis, values | {"other_config": config or {}})
        private = {"name": name, "chassis": row, "external_ids": ids or {}, "nb_cfg": answered}
        transaction.insert(sb.ChassisPrivate, private | {"nb_cfg_timestamp": 1_700_000_000_000})
        transaction.commit()

    async def port(self, network, **values):
        return await self.create("port", network_id=network["id"], **values)
