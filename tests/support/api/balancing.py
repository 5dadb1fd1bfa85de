"""The load balancing API over databases in process, with the compiler to Northbound beside it."""

from __future__ import annotations

from ovenbird.cloud import compiler
from ovenbird.model import nb, sb
from support.api.neutron import Neutron


class Balancing(Neutron):
    """Speaks to both APIs; answers are (status, body). `compile` brings Northbound up to date."""

    def __init__(self):
        super().__init__()
        self.engine = compiler(self.cloud.store, northbound=self.northbound.store, southbound=self.southbound.store)

    def compile(self):
        """Bring Northbound up to date."""
        self.engine.run()
        transaction = self.northbound.transaction()
        for output in self.engine.outputs.values():
            output.plan(transaction)
        self.northbound.database.commit(transaction)

    def balancers(self):
        """Return Northbound's load balancers, compiled anew."""
        self.compile()
        return list(self.northbound.store.table(nb.LoadBalancer))

    def report(self, port, address, number, protocol, status):
        """Write what a chassis found at a member."""
        transaction = self.southbound.transaction()
        table = self.southbound.store.table(sb.ServiceMonitor)
        known = [row for row in table if (row.logical_port, row.ip, row.port) == (port, address, number)]
        if known:
            transaction.update(known[0], {"status": status})
        else:
            values = {"logical_port": port, "ip": address, "port": number, "protocol": protocol, "status": status}
            transaction.insert(sb.ServiceMonitor, values)
        self.southbound.database.commit(transaction)

    async def lb(self, method, path, body=None, **headers):
        """Ask the load balancing API."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.request(method, f"/load-balancer/v2/lbaas/{path}", json=body, headers=sent)
        return answer.status_code, answer.json() if answer.content else None

    async def make(self, member, within="", **values):
        """Create a resource of load balancing."""
        status, body = await self.lb("POST", f"{within}{member}s", {member: values})
        assert status == 201, body
        return body[member]

    async def site(self, cidr="10.0.0.0/24", external=False):
        """Make a network, a subnet and a router between it and, if wanted, an external network."""
        network = await self.create("network", name="private")
        subnet = await self.create("subnet", network_id=network["id"], cidr=cidr, ip_version=6 if ":" in cidr else 4)
        router = await self.create("router", name="r")
        status, body = await self.ask(
            "PUT", f"routers/{router['id']}/add_router_interface", {"subnet_id": subnet["id"]}
        )
        assert status == 200, body
        if external:
            outside = await self.create("network", **{"name": "public", "router:external": True})
            await self.create("subnet", network_id=outside["id"], cidr="203.0.113.0/24", ip_version=4)
            info = {"external_gateway_info": {"network_id": outside["id"]}}
            status, body = await self.ask("PUT", f"routers/{router['id']}", {"router": info})
            assert status == 200, body
            self.outside = outside["id"]
        self.network, self.subnet, self.router = network["id"], subnet["id"], router["id"]
        return subnet
