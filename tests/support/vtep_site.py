"""Databases of a cloud and of its physical switches, and what a controller of VTEP gateways writes in both."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.controller.site import Site
from support.waiting import until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

SCHEMAS = {
    "nb": "/usr/share/ovn/ovn-nb.ovsschema",
    "sb": "/usr/share/ovn/ovn-sb.ovsschema",
    "vtep": "/usr/share/openvswitch/vtep.ovsschema",
}
OURS = (sys.executable, "-m", "ovenbird.cli", "vtep")
ORIGINAL = ("ovn-controller-vtep",)
NEEDED = ("ovsdb-server", "ovsdb-client", "ovn-northd", "ovn-nbctl", "ovn-sbctl", "vtep-ctl")

Written = dict[str, list[Any]]
"""What is in the databases, by table, without UUIDs."""


class VtepSite(Site):
    """Northbound, Southbound and hardware_vtep, with the original northd and one controller of gateways."""

    def __init__(self, directory: Path, program: tuple[str, ...]) -> None:
        super().__init__(directory)
        self.program = program
        self.controller: subprocess.Popen[bytes] | None = None

    def vtep(self, *argv: str) -> str:
        return self.run("vtep-ctl", f"--db=unix:{self.directory}/vtep.sock", "--timeout=20", *argv)

    def start(self) -> None:
        databases = (f"--vtep-db=unix:{self.directory}/vtep.sock", f"--ovnsb-db=unix:{self.directory}/sb.sock")
        self.controller = self.spawn(*self.program, *databases)
        until(lambda: self.appctl("version"))

    def appctl(self, *argv: str) -> str:
        assert self.controller is not None
        control = self.directory / f"ovn-controller-vtep.{self.controller.pid}.ctl"
        assert control.exists()
        return self.run("ovs-appctl", "-t", str(control), *argv)

    def exit(self) -> None:
        assert self.controller is not None
        self.appctl("exit")
        self.controller.wait(20)
        self.processes.remove(self.controller)

    def select(self, socket: str, database: str, *tables: str) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the rows of tables as they were at one time, by table and UUID."""
        query = json.dumps([database, *({"op": "select", "table": table, "where": []} for table in tables)])
        answer = json.loads(self.run("ovsdb-client", "transact", f"unix:{self.directory}/{socket}.sock", query))
        return {
            table: {row["_uuid"][1]: row for row in rows["rows"]} for table, rows in zip(tables, answer, strict=True)
        }

    def written(self) -> Written:
        """Return what the controller has written, references replaced by what they refer to."""
        south = self.select("sb", "OVN_Southbound", "Chassis", "Encap", "Port_Binding", "Chassis_Private")
        tables = ("Logical_Switch", "Ucast_Macs_Remote", "Mcast_Macs_Remote", "Physical_Locator_Set")
        vtep = self.select("vtep", "hardware_vtep", *tables, "Physical_Locator")

        sets = vtep["Physical_Locator_Set"]

        def locators(value: Any) -> list[str]:
            return sorted(vtep["Physical_Locator"][uuid]["dst_ip"] for uuid in elements(value))

        def switch(row: dict[str, Any]) -> str:
            name: str = vtep["Logical_Switch"][row["logical_switch"][1]]["name"]
            return name

        encaps = {
            uuid: [row["type"], row["ip"], row["chassis_name"], row["options"]] for uuid, row in south["Encap"].items()
        }
        found = {
            "Chassis": [
                [
                    *(row["name"], sorted(encaps[uuid] for uuid in elements(row["encaps"])), row["other_config"]),
                    *(row["vtep_logical_switches"], row["hostname"], row["external_ids"]),
                ]
                for row in south["Chassis"].values()
            ],
            "Encap": list(encaps.values()),
            "Chassis_Private": [row["name"] for row in south["Chassis_Private"].values()],
            "Port_Binding": [
                [
                    *(row["logical_port"], [south["Chassis"][uuid]["name"] for uuid in elements(row["chassis"])]),
                    *(row["up"], row["encap"], row["type"]),
                ]
                for row in south["Port_Binding"].values()
            ],
            "Logical_Switch": [
                [row["name"], row["tunnel_key"], row["replication_mode"]] for row in vtep["Logical_Switch"].values()
            ],
            "Ucast_Macs_Remote": [
                [row["MAC"], switch(row), locators(row["locator"]), row["ipaddr"]]
                for row in vtep["Ucast_Macs_Remote"].values()
            ],
            "Mcast_Macs_Remote": [
                [row["MAC"], switch(row), row["ipaddr"], *locators(sets[row["locator_set"][1]]["locators"])]
                for row in vtep["Mcast_Macs_Remote"].values()
            ],
            "Physical_Locator": [
                [row["dst_ip"], row["encapsulation_type"], row["tunnel_key"]]
                for row in vtep["Physical_Locator"].values()
            ],
        }
        return {name: sorted(rows, key=repr) for name, rows in found.items()}


def elements(value: Any) -> list[str]:
    """Return the UUIDs of a column's value."""
    kind, content = value
    return [uuid for _, uuid in content] if kind == "set" else [content]


@contextmanager
def vtep_site(program: tuple[str, ...]) -> Iterator[VtepSite]:
    """Make the databases, with northd; `start` runs the controller."""
    missing = [name for name in (*NEEDED, program[0]) if shutil.which(name) is None]
    if missing:
        pytest.skip(f"missing {', '.join(missing)}")
    directory = Path(tempfile.mkdtemp(prefix="obv"))
    site = VtepSite(directory, program)
    try:
        for name, schema in SCHEMAS.items():
            site.database(name, schema)
        site.spawn("ovn-northd", f"--ovnnb-db=unix:{directory}/nb.sock", f"--ovnsb-db=unix:{directory}/sb.sock")
        yield site
    finally:
        for process in list(reversed(site.processes)):
            site.stop(process)
        shutil.rmtree(directory)
