"""`ovenbird settings` against a Cloud that is served at a socket."""

import asyncio
import json

import pytest
from click.testing import CliRunner

from ovenbird.cli.commands import ovenbird
from ovenbird.model import cloud
from ovenbird.model.cloud import CloudGlobal
from ovenbird.model.settings import SETTINGS
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server

WHAT = "metadata is true or false"
SAID = "ovenbird: settings of the cloud: "


class Cloud:
    """A Cloud database that is served in a run directory."""

    def __init__(self, place):
        self.place = place
        self.client = self.server = None

    async def start(self):
        self.server = Server()
        self.client = self.server.add(Database(cloud.schema(), cloud.ROWS))
        await self.server.listen(f"punix:{self.place}/cloud.sock")

    async def run(self, *words, env=None, place=True):
        at = ("--rundir", str(self.place)) if place else ()
        line = ("settings", words[0], *at, *words[1:])
        return await asyncio.to_thread(CliRunner().invoke, ovenbird, line, env={"COLUMNS": "300", **(env or {})})

    async def said(self, *words):
        done = await self.run(*words)
        assert done.exit_code == 0, done.output
        return done.output

    async def refused(self, *words, **how):
        before = self.options
        done = await self.run(*words, **how)
        assert done.exit_code != 0
        assert self.options == before
        assert isinstance(done.exception, SystemExit)
        return done.stderr.splitlines()[-1].removeprefix("Error: ")

    def write(self, options):
        """Write options as somebody does who is not checked."""
        change = self.client.transaction()
        rows = self.client.store.table(CloudGlobal).all()
        if rows:
            change.update(rows[0], {"options": options})
        else:
            change.insert(CloudGlobal, {"options": options})
        self.client.commit_now(change)

    @property
    def options(self):
        return [row.options for row in self.client.store.table(CloudGlobal)]


@pytest.fixture
async def served(tmp_path):
    made = Cloud(tmp_path)
    await made.start()
    yield made
    await made.server.close()


async def test_settings_are_set_listed_read_and_unset(served):
    assert await served.said("get", "metadata") == "false\n"
    assert await served.said("set", "metadata=TRUE", "live_migration_activation_strategy=", "quota_port=-1") == (
        "metadata is true: it was false; takes effect for networks made from now on, and subnets made, or given "
        "DHCP, from now on\n"
        "live_migration_activation_strategy is '': it was rarp; takes effect at once\n"
        "quota_port is -1: it was 500; takes effect at once\n"
    )
    assert served.options == [{"metadata": "true", "live_migration_activation_strategy": "", "quota_port": "-1"}]
    assert await served.said("set", "metadata=true") == "metadata is true: unchanged\n"
    lines = {line.split()[0]: line.split()[1:3] for line in (await served.said("list")).splitlines()[3:] if line}
    assert list(lines) == list(SETTINGS)
    assert (lines["metadata"], lines["max_routes"]) == (["true", "false"], ["30", "30"])
    assert lines["live_migration_activation_strategy"] == ["''", "rarp"]
    entries = {entry["name"]: entry for entry in json.loads(await served.said("list", "--json"))}
    assert list(entries) == list(SETTINGS)
    assert json.loads(await served.said("get", "--json", "quota_port")) == entries["quota_port"]
    assert [entries["quota_port"][key] for key in ("value", "is_set", "default")] == ["-1", True, "500"]
    assert [entries["max_routes"][key] for key in ("value", "is_set", "default")] == ["30", False, "30"]
    assert await served.said("unset", "quota_port", "max_routes", "live_migration_activation_strategy") == (
        "quota_port is 500: it was -1; takes effect at once\n"
        "max_routes is 30: unchanged\n"
        "live_migration_activation_strategy is rarp: it was ''; takes effect at once\n"
    )
    assert served.options == [{"metadata": "true"}]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("set", "metdta=true"), "there is no setting metdta: is metadata meant?"),
        (("set", "max_routes=5", "metadata=banana"), "metadata=banana: metadata is true or false"),
        (("set", "metadata=t\0rue"), "metadata='t\\x00rue': metadata is true or false"),
        (("set", "metadata=" + "x" * 1_000_000), f"metadata={'x' * 60!r}... (1000000 characters): {WHAT}"),
        (("set", "metadata=true", "metadata=false"), "metadata is given twice"),
        (("set", "metadata"), "metadata is not of the form NAME=VALUE"),
        (("set",), "Missing argument 'NAME=VALUE...'."),
        (("get", "metdta"), "there is no setting metdta: is metadata meant?"),
        (("unset", "max_routes", "quota_prt"), "there is no setting quota_prt: is quota_port meant?"),
        (("list", "--private-key", "x"), "TLS needs all of --private-key, --certificate and --ca-cert"),
    ],
)  # fmt: skip
async def test_invalid_assignments_change_no_setting(served, words, why):
    served.write({"max_routes": "7"})
    assert await served.refused(*words) == why


async def test_settings_written_past_the_checks_are_reported_and_can_be_removed(served):
    served.write({"metadata": "banana", "metdta": "true", "a\nb": "x" * 1_000_000, "max_routes": "7"})
    done = await served.run("get", "metadata")
    assert done.stdout == "false\n"
    assert done.stderr.splitlines() == [
        f"{SAID}metadata=banana: metadata is true or false; the default false is used",
        f"{SAID}there is no setting 'a\\nb': `ovenbird settings list` shows all; it is ignored",
        f"{SAID}there is no setting metdta: is metadata meant?; it is ignored",
    ]
    assert await served.said("unset", "a\nb", "metdta", "metadata") == (
        "metadata is false: unchanged\n'a\\nb' is removed\nmetdta is removed\n"
    )
    assert served.options == [{"max_routes": "7"}]


async def test_the_location_of_cloud_is_found(served, tmp_path):
    here = f"unix:{served.place}/cloud.sock"
    for how in ({"env": {"OVENBIRD_CLOUD_DB": here}}, {"env": {"OVENBIRD_RUNDIR": str(served.place)}}):
        assert (await served.run("get", "max_routes", place=False, **how)).stdout == "30\n"
    elsewhere = {"OVENBIRD_CLOUD_DB": f"unix:{tmp_path}/gone", "OVENBIRD_RUNDIR": "/nonexistent"}
    assert (await served.run("get", "max_routes", env=elsewhere)).stdout == "30\n"
    assert (await served.run("get", "--db", here, "max_routes", place=False, env=elsewhere)).stdout == "30\n"
    assert await served.refused("get", "--db", here, "max_routes") == "give one of --db and --rundir"
    empty = tmp_path / "empty"
    why = f"Cloud is not at {empty}/cloud.sock: give its remote by --db"
    assert await served.refused("list", "--rundir", str(empty), place=False) == why
    assert not empty.exists()
    gone = f"unix:{tmp_path}/gone"
    why = f"Cloud cannot be reached: {gone}: No such file or directory"
    assert await served.refused("set", "--db", gone, "metadata=true", place=False) == why
    why = "Cloud cannot be reached: 'banana' is not a remote, such as "
    assert (await served.refused("list", "--db", "banana", place=False)).startswith(why)
