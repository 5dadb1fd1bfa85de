"""A program that exchanges routes with the kernel of its own network namespace, and prints what came of each step.

Run it under `unshare --net`: it plays the controller's part, `ip` that of the routing daemon.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from time import monotonic

from ovenbird.controller.facts import ANNOUNCED_ROUTE, EXCHANGE_SETTLED, EXCHANGED_ROUTER, BoundPort
from ovenbird.controller.local.local_store import LearnedHere, ProtocolState, make_local_store
from ovenbird.controller.routes.route_exchange import KernelExchange
from ovenbird.net.rtnetlink import KernelRoute
from support.waiting import until_async

TABLE = 77


def ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def installed() -> list[str]:
    """Return the routes of OVN's protocol, both versions."""
    lines = [line for family in ("-4", "-6") for line in ip(family, "route", "show", "table", f"{TABLE}").splitlines()]
    return [" ".join(line.split()[:2]) for line in lines if "proto 84" in line]


def wanted(address: bytes, length: int, priority: int = 1000) -> object:
    return ANNOUNCED_ROUTE(KernelRoute(table=TABLE, address=address, length=length, priority=priority))


async def main() -> None:
    for line in ("link set lo up", "link add a0 type veth peer name a1", "link set a0 up", "link set a1 up",
                 "address add 192.0.2.1/24 dev a0"):  # fmt: skip
        ip(*line.split())
    ip(*f"route add blackhole 10.9.0.0/16 table {TABLE} metric 1000 proto static".split())
    ip(*f"route add blackhole 10.8.0.0/16 table {TABLE} metric 1000 proto 84".split())  # left by an earlier run
    own = make_local_store()
    exchange = KernelExchange(own, lambda: None)
    router = EXCHANGED_ROUTER(datapath="d", table=TABLE, vrf="ovnvrf77", ports=(BoundPort(binding="p", interface=""),))
    found: dict[str, object] = {}

    def learned() -> list[list[str]]:
        return sorted([row.prefix, row.nexthop] for row in own.table(LearnedHere).rows.values())

    def outcomes() -> dict[str, str]:
        return {row.subject: row.value for row in own.table(ProtocolState).rows.values()}

    first, six = wanted(bytes((10, 0, 0, 0)), 8), wanted(bytes.fromhex("fd00") + bytes(14), 64)
    refused = wanted(bytes((10, 9, 0, 0)), 16)
    exchange.absorb_routers(added=[router], removed=[])
    exchange.absorb_routes(added=[first, six, refused], removed=[])
    await until_async(lambda: len(installed()) == 3)
    found["before it is settled"] = installed()
    exchange.absorb_settled(added=[EXCHANGE_SETTLED()], removed=[])
    await until_async(lambda: len(installed()) == 2)
    found["settled"], found["outcomes"] = installed(), outcomes()

    ip(*f"route add 198.51.100.0/24 via 192.0.2.9 table {TABLE} proto bgp".split())
    await until_async(lambda: learned() == [["198.51.100.0/24", "192.0.2.9"]])
    ip(*f"route replace 198.51.100.0/24 via 192.0.2.8 table {TABLE} proto bgp".split())
    await until_async(lambda: learned() == [["198.51.100.0/24", "192.0.2.8"]])
    ip(*f"route add 198.51.0.0/16 table {TABLE} proto bgp nexthop via 192.0.2.7 nexthop via 192.0.2.6".split())
    await until_async(lambda: len(learned()) == 3)
    found["learned"] = learned()
    ip("link", "set", "a1", "down")
    ip("link", "set", "a0", "down")
    await until_async(lambda: not learned())

    ip(*f"route del blackhole 10.0.0.0/8 table {TABLE} metric 1000".split())  # a route of ours
    await until_async(lambda: len(installed()) == 2)
    start = monotonic()
    exchange.absorb_routes(added=[], removed=[first])
    await until_async(lambda: len(installed()) == 1)
    found["seconds to withdraw"] = monotonic() - start
    many = [wanted(bytes((11, n >> 8, n & 255, 0)), 24) for n in range(2000)]
    exchange.absorb_routes(added=many, removed=[])
    await until_async(lambda: len(installed()) == 2001)
    exchange.absorb_routes(added=[], removed=many)
    await until_async(lambda: len(installed()) == 1)

    exchange.close()  # as for another engine: the kernel keeps what it has
    found["closed"] = installed()
    exchange.absorb_routers(added=[router], removed=[])
    exchange.absorb_routes(added=[six], removed=[])
    exchange.absorb_settled(added=[EXCHANGE_SETTLED()], removed=[])
    await until_async(lambda: outcomes().get(f"routing table {TABLE}") == "read")
    found["again"] = installed()
    await exchange.withdraw()
    found["withdrawn"], found["outcomes at the end"] = installed(), outcomes()
    print(json.dumps(found))  # noqa: T201 - what the test reads


asyncio.run(main())
