from pathlib import Path

import pytest

from ovenbird.lab import programs
from ovenbird.lab.hypervisor import Hypervisor
from ovenbird.lab.layout import Layout

LAYOUT = Layout.make(Path("/run/a"), api_port=1, nb_port=2, sb_port=3, cloud_port=4)


def test_all_in_one_is_one_process_with_every_port() -> None:
    central = programs.all_in_one(LAYOUT)
    (process,) = central.processes
    assert process.argv[-6:] == (
        "central",
        "--rundir=/run/a",
        "--api-port=1",
        "--nb-port=2",
        "--sb-port=3",
        "--cloud-port=4",
    )
    assert central.api
    central.prepare()


def test_every_split_part_can_be_another_program() -> None:
    ours = {process.name: process.argv for process in programs.split()(LAYOUT).processes}
    swapped = programs.split(server=("S", "x"), northd=("N",))(LAYOUT)
    theirs = {process.name: process.argv for process in swapped.processes}
    assert list(ours) == list(theirs) == ["db-nb", "db-sb", "db-cloud", "northd", "api"]
    prefix = len(programs.ovenbird("db"))
    assert theirs["db-sb"] == ("S", "x", *ours["db-sb"][prefix:])
    assert "--remote=ptcp:3:127.0.0.1" in theirs["db-sb"]
    *same, findings = ours["northd"][prefix:]
    assert theirs["northd"] == ("N", *same)
    assert findings.startswith("--cloud-db=")  # ours alone writes what it finds into Cloud
    assert theirs["api"] == ours["api"]


def test_the_originals_have_no_api() -> None:
    central = programs.originals(Layout.make(Path("/run/a"), api_port=1))
    assert [process.argv[0] for process in central.processes] == ["ovsdb-server", "ovsdb-server", "ovn-northd"]
    assert not central.api
    assert not any("ptcp" in word for process in central.processes for word in process.argv)


def test_split_programs_find_their_databases_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    layout = Layout.make(tmp_path_factory.mktemp("x"), api_port=1)
    programs.split()(layout).prepare()
    assert sorted(path.name for path in layout.rundir.iterdir()) == ["cloud.db", "nb.db", "sb.db"]


def test_a_controller_runs_in_its_hypervisor() -> None:
    host = Hypervisor(LAYOUT, "hv2")
    ours, theirs = programs.controller(host), programs.controller(host, ("ovn-controller",))
    assert ours.name == theirs.name == "hv2-controller"
    assert ours.namespace == f"{LAYOUT.prefix}hv2"
    assert dict(ours.env)["OVS_RUNDIR"] == dict(ours.env)["OVN_RUNDIR"] == "/run/a/hv2"
    assert theirs.argv == ("ovn-controller", *ours.argv[len(programs.ovenbird("controller")) :])
    assert theirs.argv[-1] == "unix:/run/a/hv2/db.sock"
