"""Two availability zones on real servers: Debian's servers and northd, each with an `ovn-ic` of either make."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ovenbird.model import ic_nb, ic_sb
from support.processes import end
from support.waiting import until

PROGRAMS = (
    *("ovsdb-server", "ovsdb-tool", "ovn-northd", "ovn-ic", "ovn-appctl"),
    *("ovn-nbctl", "ovn-sbctl", "ovn-ic-nbctl", "ovn-ic-sbctl"),
)
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
SCHEMAS = "/usr/share/ovn"
OURS, THEIRS = (sys.executable, "-m", "ovenbird.cli", "ic"), ("ovn-ic",)

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")

COLUMNS = {
    "Logical_Switch": "name,ports,other_config,external_ids",
    "Logical_Switch_Port": "name,type,addresses,options,up,external_ids",
    "Logical_Router": "name,ports,static_routes",
    "Logical_Router_Port": "name,mac,options",
    "Logical_Router_Static_Route": "ip_prefix,nexthop,route_table,options,external_ids,policy",
    "Chassis": "name,hostname,other_config,encaps",
    "Encap": "type,ip,options,chassis_name",
    "Port_Binding": "logical_port,type,tunnel_key,chassis,mac,options",
}
"""What zones' databases are compared by."""
IC_COLUMNS = {
    "Availability_Zone": "name",
    "Gateway": "name,availability_zone,hostname,encaps,external_ids",
    "Encap": "type,ip,options,gateway_name",
    "Datapath_Binding": "transit_switch,external_ids",
    "Port_Binding": "logical_port,transit_switch,availability_zone,tunnel_key,gateway,address,external_ids",
    "Route": "transit_switch,availability_zone,route_table,ip_prefix,nexthop,origin,external_ids",
}


class Deployment:
    """The shared databases, and the zones `east` and `west` on them.

    Arguments:
        directory: a short path, for sockets.
        installed: whether the shared databases have the installed release's schemas, which may be older than ours.
    """

    def __init__(self, directory: Path, *, installed: bool = False) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        names = ("OVN_RUNDIR", "OVS_RUNDIR", "OVN_LOGDIR", "OVS_LOGDIR", "OVN_DBDIR", "OVS_DBDIR")
        self.environment = os.environ | dict.fromkeys(names, str(directory))
        for module, name in ((ic_nb, "ic-nb"), (ic_sb, "ic-sb")):
            theirs, ours = Path(SCHEMAS) / f"ovn-{name}.ovsschema", directory / f"{name}.schema"
            ours.write_text(json.dumps(module.schema().to_json()))
            self._server(name, theirs if installed and theirs.exists() else ours)
        self.tool("ic-nb", "init")
        self.tool("ic-sb", "init")
        self.zones = tuple(DeployedZone(self, name) for name in ("east", "west"))

    def spawn(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.directory / f"{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        log.close()
        self.processes.append(process)
        return process

    def _server(self, name: str, schema: object) -> None:
        path = self.directory / name
        subprocess.run(["ovsdb-tool", "create", f"{path}.db", str(schema)], check=True)
        self.spawn("ovsdb-server", f"--remote=punix:{path}.sock", f"--unixctl={path}.ctl", f"{path}.db")
        until((self.directory / f"{name}.sock").exists)

    def remote(self, name: str) -> str:
        return f"unix:{self.directory / name}.sock"

    def tool(self, name: str, *arguments: str) -> str:
        """Run the tool of a database: `ic-nb`, `east-nb`, `west-sb`."""
        kind = name.removeprefix("east-").removeprefix("west-")
        command = [f"ovn-{kind}ctl", f"--db={self.remote(name)}", "--timeout=60", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def start_ic(self, **programs: tuple[str, ...]) -> None:
        """Run the program of each zone."""
        for zone, program in programs.items():
            self.daemons[zone] = self.spawn(
                *program,
                f"--ovnnb-db={self.remote(f'{zone}-nb')}",
                f"--ovnsb-db={self.remote(f'{zone}-sb')}",
                f"--ic-nb-db={self.remote('ic-nb')}",
                f"--ic-sb-db={self.remote('ic-sb')}",
                f"--unixctl={self.directory / f'{zone}-ic.ctl'}",
            )
            until(lambda zone=zone: "active" in self.ask(zone, "status"))

    def ask(self, zone: str, *command: str) -> str:
        """Return what a command of a zone's program answers; nothing as long as it does not."""
        path = self.directory / f"{zone}-ic.ctl"
        done = subprocess.run(["ovn-appctl", "-t", path, *command], capture_output=True, text=True, check=False)
        return done.stdout

    def stop_ic(self) -> None:
        for process in self.daemons.values():
            process.terminate()
            process.wait(20)
        self.daemons.clear()

    def rows(self) -> dict[str, list[str]]:
        """Return every row that zones tell each other, or make of it, with names instead of UUIDs."""
        tables = {"ic-sb": IC_COLUMNS}
        for zone in ("east", "west"):
            tables |= {
                f"{zone}-nb": _some(COLUMNS, "Logical"),
                f"{zone}-sb": _some(COLUMNS, "Chassis", "Encap", "Port"),
            }
        found: dict[str, list[str]] = {}
        names: dict[str, str] = {}
        for name, columns in tables.items():
            for table, listed in columns.items():
                answer = json.loads(self.tool(name, "--format=json", f"--columns=_uuid,{listed}", "list", table))
                rows = [dict(zip(answer["headings"], row, strict=True)) for row in answer["data"]]
                for row in rows:
                    uuid = row.pop("_uuid")[1]
                    told = row.get("name") or row.get("logical_port") or row.get("ip_prefix") or row.get("ip")
                    names[uuid] = f"<{told or 'row'}>"
                    if table == "Port_Binding" and not row["logical_port"].startswith("ts"):
                        del row["tunnel_key"]  # the order in which northd gives them is left to chance
                found[f"{name} {table}"] = [json.dumps(row) for row in rows]
        listed = self.tool("ic-sb", "--format=json", "--columns=tunnel_key,transit_switch", "list", "Datapath_Binding")
        keys = {f'"{key}"': f'"key of {switch}"' for key, switch in json.loads(listed)["data"]}
        for table, rows_of in found.items():
            plain = [_UUID.sub(lambda m: names.get(m[0], m[0]), text) for text in rows_of]
            for key, name in keys.items():  # which zone's program gives the next one is left to chance
                plain = [text.replace(key, name) for text in plain]
            found[table] = sorted([_sorted(text) for text in plain])
        return found

    def sequences(self) -> dict[str, int]:
        """Return how often each database has been written to."""
        return {path.stem: path.read_text(errors="replace").count("OVSDB JSON") for path in self.directory.glob("*.db")}

    def close(self) -> None:
        end(reversed(self.processes))


class DeployedZone:
    """One zone's databases and northd."""

    def __init__(self, deployment: Deployment, name: str) -> None:
        self.deployment = deployment
        self.name = name
        for kind in ("nb", "sb"):
            deployment._server(f"{name}-{kind}", f"{SCHEMAS}/ovn-{kind}.ovsschema")
        remotes = (f"--ovn{kind}-db={deployment.remote(f'{name}-{kind}')}" for kind in ("nb", "sb"))
        deployment.spawn("ovn-northd", *remotes, f"--unixctl={deployment.directory / name}-northd.ctl")
        self.nb("init")
        self.nb("set", "NB_Global", ".", f"name={name}")

    def nb(self, *arguments: str) -> str:
        return self.deployment.tool(f"{self.name}-nb", *arguments)

    def sb(self, *arguments: str) -> str:
        return self.deployment.tool(f"{self.name}-sb", *arguments)


def _some(columns: dict[str, str], *beginnings: str) -> dict[str, str]:
    return {table: listed for table, listed in columns.items() if table.startswith(beginnings)}


def _sorted(text: str) -> str:
    """Return a row's text with its sets and maps in order."""

    def ordered(value: object) -> object:
        if isinstance(value, list) and len(value) == 2 and value[0] in ("set", "map"):
            return [value[0], sorted(value[1], key=repr)]
        return value

    return json.dumps({column: ordered(value) for column, value in json.loads(text).items()}, sort_keys=True)
