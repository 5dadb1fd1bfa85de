"""Two APIs asked the same: Neutron's, over HTTP, and ours in this process; and how their answers are compared.

A request is written with our ids, addresses and MACs. What Neutron chose in their place is learnt by comparing answers
(a one-to-one relation, so that a wrong reference shows), and put into the requests that it gets.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx

from ovenbird import cloud as compiler
from ovenbird.api import databases
from ovenbird.api.access.auth import Caller
from ovenbird.api.access.policy import Policy
from ovenbird.api.access.quotas import SERVICES
from ovenbird.api.http.app import create_app
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.ports.ipam import Allocator
from ovenbird.model import cloud, nb, sb
from ovenbird.ovsdb.database import Database
from support.cloud.world import World
from support.processes import end
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = Path(__file__).with_name("neutron_service.py")
SCHEMAS = Path("/usr/share/ovn")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MAC = re.compile(r"fa:16:3e(:[0-9a-f]{2}){3}\Z")
MADE = re.compile(r"[0-9a-f:]+:[0-9a-f]{1,4}:[0-9a-f]{0,2}ff:fe[0-9a-f]{0,2}:[0-9a-f]{1,4}\Z")
"""An address that follows from a MAC."""
CHOSEN = re.compile(f"{UUID.pattern}|fa:16:3e(?::[0-9a-f]{{2}}){{3}}")
TIMES = ("created_at", "updated_at", "revision_number", "heartbeat_timestamp", "started_at")
QUOTA = 1000

NOT_OURS = frozenset(
    (
        "segment_id",
        "segments",
        "standard_attr_id",
        "router_route",
        "ovs_create_tap",
        "gw_port_id",
        "ha_vr_id",
    )
)
"""What Neutron shows for extensions that this API does not have, and does not say that it has."""
NOT_THEIRS = frozenset(("propagate_uplink_status", "data_plane_status", "distributed", "enable_ndp_proxy"))
"""What we show, always null, for clients that look for it; Neutron does where it has the extensions."""

SWITCH_PORT = ("type", "options", "parent_name", "tag_request", "enabled", "external_ids")
SWITCH_PORT_IDS = tuple(
    f"neutron:{name}" for name in ("device_id", "device_owner", "vnic_type", "port_capabilities", "cidrs", "port_name")
)
"""Columns of Logical_Switch_Port, and keys of its `external_ids`, that are compared."""


class Trusting:
    """Believes the headers that Keystone's middleware passes on."""

    restricted = True

    def known(self, headers):
        given = {name.decode(): value.decode() for name, value in headers}
        roles = frozenset(given["x-roles"].split(","))
        return Caller(project=given["x-project-id"], user=given["x-user-id"], roles=roles)

    async def identify(self, headers):
        raise AssertionError

    async def close(self):
        pass


class First(Allocator):
    """Proposes the first free address."""

    def propose(self, *arguments):
        self._next.clear()
        return super().propose(*arguments)


class InProcess:
    """What the API needs of a client, over a database of its own."""

    def __init__(self, schema, rows):
        self.database = Database(schema, rows)
        self.store = self.database.store
        self.connected = True

    def transaction(self):
        return self.database.transaction()

    async def commit(self, transaction, *, durable=False, until=None):
        return self.database.commit(transaction)


class Neutron:
    """Neutron's API and the databases below it, in a directory of their own.

    Arguments:
        directory: which; its path has to be short.
        in_file: whether Neutron's tables are in a file, which takes longer (`neutron_service` says what for).

    Raises:
        FileNotFoundError: something that it needs is not installed.
    """

    def __init__(self, directory: Path, *, in_file: bool = False) -> None:
        self.directory = directory
        self.in_file = in_file
        self.processes: list[subprocess.Popen[str]] = []
        self.port = 0

    def start(self, chassis: dict[str, dict[str, str]]) -> None:
        """Start everything; chassis are registered in Southbound, options by name."""
        remotes = [self._database(name) for name in ("nb", "sb")]
        for number, (name, options) in enumerate(chassis.items(), 1):
            ovn = ["ovn-sbctl", f"--db={remotes[1]}"]
            subprocess.run([*ovn, "chassis-add", name, "geneve", f"192.0.2.{number}"], check=True)
            pairs = [f'other_config:{key}="{value}"' for key, value in options.items()]
            subprocess.run([*ovn, "set", "Chassis", name, f"hostname={name}", *pairs], check=True)
            private = ["create", "Chassis_Private", f"name={name}", f"chassis=@c{number}"]
            get = ["--", f"--id=@c{number}", "get", "Chassis", name]
            subprocess.run([*ovn, *get, "--", *private], check=True, stdout=subprocess.DEVNULL)
        python = os.environ.get("OVENBIRD_NEUTRON_PYTHON", sys.executable)
        with (self.directory / "neutron.log").open("w") as log:
            file = [str(self.directory / "neutron.sqlite")] if self.in_file else []
            command = [python, str(PROGRAM), str(self.directory), *remotes, *file]
            neutron = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self.processes.append(neutron)
        said = neutron.stdout.readline().split() if neutron.stdout is not None else []
        if not said:
            if neutron.wait() == 3:
                raise FileNotFoundError("Neutron is not installed (OVENBIRD_NEUTRON_PYTHON)")
            raise AssertionError((self.directory / "neutron.log").read_text()[-3000:])
        self.port = int(said[1])

    def _database(self, name: str) -> str:
        file, socket = self.directory / f"{name}.db", self.directory / f"{name}.sock"
        schema = SCHEMAS / f"ovn-{name}.ovsschema"
        if not schema.exists():
            raise FileNotFoundError(f"{schema} is not there")
        subprocess.run(["ovsdb-tool", "create", file, schema], check=True)
        control = f"--unixctl={self.directory / name}.ctl"
        quiet = ["-vconsole:off", "-vsyslog:off"]
        self.processes.append(
            subprocess.Popen(["ovsdb-server", str(file), f"--remote=punix:{socket}", control, *quiet], text=True)
        )
        until(socket.exists)
        tool = {"nb": "ovn-nbctl", "sb": "ovn-sbctl"}[name]
        subprocess.run([tool, f"--db=unix:{socket}", "--timeout=20", "init"], check=True)
        return f"unix:{socket}"

    def stop(self) -> None:
        """End what was started."""
        end(reversed(self.processes))
        for process in self.processes:
            if process.stdout is not None:
                process.stdout.close()


class Pair:
    """Both APIs.

    Arguments:
        port: where Neutron listens.
        chassis: options of each chassis that is registered.
        project: id of the project in whose name requests are made, and by which they do not meet others'.
        northbound: the remote of the database that Neutron writes.
    """

    def __init__(
        self, port: int, chassis: dict[str, dict[str, str]], project: str = "red", *, northbound: str = ""
    ) -> None:
        self.northbound = northbound
        self.databases = [InProcess(model.schema(), model.ROWS) for model in (cloud, nb, sb)]
        self._register(chassis)
        transaction = self.databases[0].transaction()
        transaction.insert(cloud.CloudGlobal, {"options": {"dns_domain": "example.net."}})
        transaction.commit()
        quotas = dict.fromkeys(SERVICES["network"], QUOTA)
        with patch.object(databases, "Allocator", First):
            app = create_app(
                self.databases[0],
                northbound=self.databases[1],
                southbound=self.databases[2],
                authenticator=Trusting(),
                policy=Policy(RULES),
                quotas=quotas,
            )
        self.ours = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://127.0.0.1:{port}/v2.0")
        self.theirs = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/v2.0", timeout=60)
        self.project = project
        self.world: World | None = None
        self.to_theirs: dict[str, str] = {}
        self.to_ours: dict[str, str] = {}
        self.asked = 0
        self.different: list[str] = []
        self.worded: list[str] = []
        self.request = ""

    def _register(self, chassis: dict[str, dict[str, str]]) -> None:
        transaction = self.databases[2].transaction()
        for number, (name, options) in enumerate(chassis.items(), 1):
            encap = {"type": "geneve", "ip": f"192.0.2.{number}", "chassis_name": name}
            encaps = frozenset((transaction.insert(sb.Encap, encap),))
            row = transaction.insert(
                sb.Chassis, {"name": name, "hostname": name, "encaps": encaps, "other_config": options}
            )
            transaction.insert(sb.ChassisPrivate, {"name": name, "chassis": row})
        transaction.commit()

    async def close(self) -> None:
        """Give up the connections."""
        await self.ours.aclose()
        await self.theirs.aclose()

    async def ask(
        self, method: str, path: str, body: Any = None, roles: str = "admin,member,reader", project: str = ""
    ) -> Any:
        """Ask both, note how the answers differ, and return our status and body."""
        self.asked += 1
        self.request = f"{method} {path} {json.dumps(body) if body is not None else ''}"
        headers = {"X-User-Id": "somebody", "X-Project-Id": project or self.project, "X-Roles": roles}
        sent = None if body is None else json.loads(self._translated(json.dumps(body)))
        ours = await self.ours.request(method, f"/{path}", json=body, headers=headers)
        theirs = await self.theirs.request(method, f"/{self._translated(path)}", json=sent, headers=headers)
        got, wanted = _body(ours), _body(theirs)
        if ours.status_code != theirs.status_code:
            await self._undo(method, path, got, wanted, headers)
            self._note(f"status {ours.status_code} {_short(got)}; Neutron's {theirs.status_code} {_short(wanted)}")
        else:
            self._compare("", got, wanted, ordered="sort_key" in path or "limit=" in path)
        return ours.status_code, got

    async def _undo(self, method: str, path: str, got: Any, wanted: Any, headers: dict[str, str]) -> None:
        """Remove what only one of the two has made, so that one difference does not bring others with it."""
        for api, where, body in ((self.ours, path, got), (self.theirs, self._translated(path), wanted)):
            made = next(iter(body.values()), None) if isinstance(body, dict) and method == "POST" else None
            for one in made if isinstance(made, list) else [made]:
                if isinstance(one, dict) and "id" in one:
                    await api.delete(f"/{where}/{one['id']}", headers=headers | {"X-Roles": "admin"})

    async def make(self, member: str, **values: Any) -> dict[str, Any]:
        """Create a resource on both sides, and return ours."""
        status, body = await self.ask("POST", f"{collection(member)}", {member: values})
        assert status == 201, (member, values, body)
        made: dict[str, Any] = body[member]
        return made

    async def same_qos(self) -> None:
        """Note how the QoS rows, and the ports' options for queues, differ that follow from what was asked."""
        scratch = InProcess(nb.schema(), nb.ROWS)
        stores = {"northbound": scratch.store, "southbound": self.databases[2].store}
        engine = compiler.compiler(self.databases[0].store, **stores)
        try:
            engine.run()
            transaction = scratch.transaction()
            for output in engine.outputs.values():
                output.plan(transaction)
            transaction.commit()
        finally:
            engine.close()
        ours = {
            self._translated(json.dumps([switch.name, rule.direction, *_plain(rule)]))
            for switch in scratch.store.table(nb.LogicalSwitch)
            for rule in switch.qos_rules
        }
        ours |= {
            self._translated(json.dumps([port.name, rates]))
            for port in scratch.store.table(nb.LogicalSwitchPort)
            if (rates := _rates(port.options))
        }
        theirs = await asyncio.to_thread(self._their_qos)
        for what, rows in (("only ours", ours - theirs), ("only Neutron's", theirs - ours)):
            for row in sorted(rows):
                self._note(f"in Northbound is {what}: {row}")

    def _their_qos(self) -> set[str]:
        rules = {
            row["_uuid"]: row
            for row in self._listed("QoS", "_uuid,direction,priority,match,action,bandwidth,external_ids")
        }
        names = ("priority", "match", "action", "bandwidth", "external_ids")
        found = {
            json.dumps([switch["name"], rules[uuid]["direction"], *(rules[uuid][name] for name in names)])
            for switch in self._listed("Logical_Switch", "name,qos_rules")
            for uuid in switch["qos_rules"]
        }
        ports = self._listed("Logical_Switch_Port", "name,options")
        return found | {json.dumps([port["name"], rates]) for port in ports if (rates := _rates(port["options"]))}

    def _listed(self, table: str, columns: str) -> list[dict[str, Any]]:
        command = ["ovn-nbctl", f"--db={self.northbound}", "--timeout=20", "--format=json", f"--columns={columns}"]
        told = json.loads(subprocess.run([*command, "list", table], check=True, capture_output=True).stdout)
        return [
            {
                name: _value(value, several=name == "qos_rules")
                for name, value in zip(told["headings"], row, strict=True)
            }
            for row in told["data"]
        ]

    def compare_switch_port(self, port: dict[str, Any]) -> None:
        """Compare what becomes of a port in Northbound."""
        if self.world is None:
            resources, _, chassis = (one.database for one in self.databases)
            self.world = World(resources, chassis)
        self.world.settle()
        ours = self.world.nb.store.find(nb.LogicalSwitchPort.name, port["id"])
        found = {name: ours[name] for name in SWITCH_PORT}
        found["external_ids"] = {key: found["external_ids"].get(key, "") for key in SWITCH_PORT_IDS}
        command = ["ovn-nbctl", f"--db={self.northbound}", "--format=json", f"--columns={','.join(SWITCH_PORT)}"]
        search = ["find", "Logical_Switch_Port", f"name={self._translated(port['id'])}"]
        answer = json.loads(subprocess.run([*command, *search], check=True, stdout=subprocess.PIPE).stdout)
        theirs = {name: _column(value) for name, value in zip(answer["headings"], answer["data"][0], strict=True)}
        theirs["external_ids"] = {key: theirs["external_ids"].get(key, "") for key in SWITCH_PORT_IDS}
        theirs["options"].pop("mcast_flood_reports", None)  # a workaround for older releases of OVN
        self.request += f" (Northbound: {port['id']})"
        self._compare("", found, theirs)

    def _translated(self, text: str) -> str:
        return CHOSEN.sub(lambda found: self.to_theirs.get(found[0], found[0]), text)

    def _note(self, what: str) -> None:
        self.different.append(f"{self.request}: {what}")

    # -- comparing ----------------------------------------------------------------------------------------------------

    def _compare(self, at: str, ours: Any, theirs: Any, *, ordered: bool = False) -> None:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            for name in sorted((ours.keys() | theirs.keys()) - NOT_OURS - NOT_THEIRS):
                if name == "tags" and "direction" in ours and name not in ours:
                    continue  # rules have none, except within a group
                if at == "" and name in ("tags", "tenant_id") and name not in theirs:
                    continue  # answers about a router's interfaces, as older Neutrons give them
                if name not in ours:
                    self._note(f"{at}.{name} is not shown; Neutron's {theirs[name]!r}")
                elif name not in theirs:
                    self._note(f"{at}.{name} is shown: {ours[name]!r}; Neutron has none")
                elif name not in TIMES:
                    self._compare(f"{at}.{name}", ours[name], theirs[name], ordered=ordered)
        elif isinstance(ours, list) and isinstance(theirs, list):
            if len(ours) != len(theirs):
                self._note(f"{at} has {len(ours)} items {_short(ours)}; Neutron's {len(theirs)} {_short(theirs)}")
                return
            if not ordered:
                ours = sorted(ours, key=lambda item: self._key(item, self.to_theirs.keys(), {}))
                theirs = sorted(theirs, key=lambda item: self._key(item, self.to_ours.keys(), self.to_ours))
            for one, other in zip(ours, theirs, strict=True):
                self._compare(f"{at}[]", one, other)
        elif at.endswith("security_group_rules[].description") and theirs is None:
            self._compare(at, ours, "")  # of the rules that Neutron makes itself
        elif isinstance(ours, str) and isinstance(theirs, str):
            self._compare_text(at, ours, theirs)
        elif at.endswith("segmentation_id") and isinstance(ours, int) and isinstance(theirs, int):
            self._same(at, f"segment {ours}", f"segment {theirs}")
        elif ours != theirs or type(ours) is not type(theirs):
            self._note(f"{at} is {ours!r}; Neutron's {theirs!r}")

    def _compare_text(self, at: str, ours: str, theirs: str) -> None:
        if any(kind.match(ours) and kind.match(theirs) for kind in (MAC, MADE)) or (
            UUID.fullmatch(ours) and UUID.fullmatch(theirs)
        ):
            self._same(at, ours, theirs)
        elif at.endswith((".fqdn", ".hostname")) and "-fe" in ours and "-fe" in theirs:
            return  # the name of an address that follows from a MAC
        elif at == ".NeutronError.message":
            if self._translated(ours) != theirs:
                self.worded.append(f"{self.request}: {ours!r}; Neutron's {theirs!r}")
        elif self._translated(ours) != theirs:
            self._note(f"{at} is {ours!r}; Neutron's {theirs!r}")

    def _same(self, at: str, ours: str, theirs: str) -> None:
        """Note that what both chose stands for the same from now on."""
        if self.to_theirs.setdefault(ours, theirs) != theirs or self.to_ours.setdefault(theirs, ours) != ours:
            self._note(f"{at} is {ours}, Neutron's {self.to_theirs.get(ours)}; but here Neutron's is {theirs}")

    def _key(self, item: Any, known: Any, names: dict[str, str]) -> str:
        """Return what sorts items alike on both sides: what neither side chose, and what is known of the rest."""
        if isinstance(item, dict) and item.get("id") in known:
            return str(names.get(item["id"], item["id"]))
        if isinstance(item, dict):
            left_out = (
                *TIMES,
                *(("description", "tags", *NOT_OURS, "belongs_to_default_sg") if "direction" in item else ()),
            )
            item = {name: value for name, value in item.items() if name not in left_out}
        text = json.dumps(item, sort_keys=True)
        return CHOSEN.sub(lambda found: names.get(found[0], found[0]) if found[0] in known else "?", text)


def _column(value: Any) -> Any:
    """Return a column's value, from its notation in JSON (RFC 7047, section 5.1), None for an empty set."""
    match value:
        case ["map", pairs]:
            return dict(pairs)
        case ["set", items]:
            return items or None
    return value


def collection(member: str) -> str:
    """Return the address of a resource's collection."""
    irregular = {"security_group": "security-groups", "rbac_policy": "rbac-policies"}
    return irregular.get(member, f"{member}s".replace("_", "-"))


def _plain(rule: nb.QoS) -> list[Any]:
    """Return what a rule does, as `_value` gives it."""
    maps = (dict(sorted(found.items())) for found in (rule.action, rule.bandwidth, rule.external_ids))
    return [rule.priority, rule.match, *maps]


def _rates(options: Mapping[str, str]) -> dict[str, str]:
    return {name: options[name] for name in sorted(options) if name.startswith("qos_")}


def _value(value: Any, *, several: bool) -> Any:
    """Return a value of OVSDB's notation (RFC 7047, section 5.1) in plain JSON."""
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "map":
        return dict(sorted(content))
    if kind == "set":
        return [_value(one, several=False) for one in content]
    return [content] if several else content


def _body(answer: httpx.Response) -> Any:
    try:
        return answer.json() if answer.content else None
    except ValueError:
        return answer.text


def _short(body: Any) -> str:
    if isinstance(body, dict) and "NeutronError" in body:
        error = body["NeutronError"]
        return f"{error['type']}: {error['message']}" if isinstance(error, dict) else str(error)
    return json.dumps(body)[:300]
