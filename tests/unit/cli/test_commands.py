import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from ovenbird.cli import daemons, screen
from ovenbird.cli import main as entry
from ovenbird.cli.commands import COMMANDS, ovenbird
from ovenbird.daemon.help import help_text
from ovenbird.lab import requirements
from ovenbird.lab.demo_topology import DemoTopology
from ovenbird.lab.errors import LabError, RequirementError, WaitTimeoutError
from ovenbird.lab.instance import Instance
from ovenbird.lab.lab import Lab
from ovenbird.lab.layout import Layout
from ovenbird.lab.process import Process, record_path
from ovenbird.lab.state import Kind
from ovenbird.lab.status import Status
from ovenbird.metadata.instance_userdata import InstanceUserdata, UserdataStore


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Record a lab that does not run, with one instance that has a lease."""
    lab = Lab(Layout.make(tmp_path_factory.mktemp("x"), api_port=9, nb_port=7))
    lab.state.add(Kind.LAYOUT, "lab", lab.layout.to_json())
    lab.state.add(Kind.PROCESS, "central", {"argv": ["x"], "log": "", "env": {}, "namespace": None, "after": []})
    port, mac = "4f0e5b8a-7777-4c1c-8888-000000000001", "fa:16:3e:00:00:01"
    instance = Instance(lab.layout, "test1", host="hv1", port_id=port, mac=mac, network="private")
    lab.state.add(Kind.INSTANCE, "test1", instance.to_json())
    instance.rundir.mkdir(parents=True)
    (instance.rundir / "lease").write_text("address=10.0.0.5/24\nrouter=10.0.0.1\ndns=\nroutes=\nmtu=1442\n")
    return lab


def _run(*line: str) -> Result:
    return CliRunner().invoke(ovenbird, line)


def _text(shown: object) -> str:
    console = Console(width=200, record=True, file=Path("/dev/null").open("w"))  # noqa: SIM115 - closed below
    with console.file:
        console.print(shown)
        return console.export_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_exists_and_has_help(name: str) -> None:
    result = _run(name, "--help")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage: ovenbird")


def _commands(of: click.Command, *line: str) -> Iterator[tuple[str, ...]]:
    yield line
    if isinstance(of, click.Group):
        for name in of.list_commands(click.Context(of)):
            found = of.get_command(click.Context(of), name)
            assert found is not None
            yield from _commands(found, *line, name)


def test_help_fits_80_columns_and_neither_breaks_a_word_nor_cuts_a_sentence_off() -> None:
    for line in _commands(ovenbird):
        for text in CliRunner().invoke(ovenbird, [*line, "--help"], terminal_width=80).output.splitlines():
            assert len(text) <= 80
            assert text.startswith("Usage: ") or not re.search(r"\w(-|\.\.\.)$", text), text
    for name in daemons.DAEMONS:
        module = importlib.import_module(f"ovenbird.daemon.{name}")
        for text in help_text(name, module.USAGE, module.OPTIONS, None).splitlines():
            assert len(text) <= 80, text


def test_help_names_commands_and_daemons() -> None:
    output = _run("--help").output
    assert all(f"  {name} " in output for name in (*COMMANDS, *daemons.DAEMONS))
    assert _run("no-such-command").exit_code == 2


def test_help_and_daemons_start_without_what_they_do_not_need() -> None:
    script = (
        "import sys; from ovenbird.cli import main\n"
        "assert 'click' not in sys.modules\n"
        "try: main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('rich', 'httpx', 'asyncio', 'ovenbird.lab.lab') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_status_needs_no_replica_and_no_web_client() -> None:
    script = (
        "import sys, ovenbird.cli.status, ovenbird.lab.status\n"
        "print([name for name in ('asyncio', 'httpx', 'ovenbird.ovsdb.replica') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_a_daemon_gets_its_command_line_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    module = SimpleNamespace(main=lambda argv: seen.append(argv) or 3)
    monkeypatch.setitem(sys.modules, "ovenbird.daemon.northd", module)
    monkeypatch.setattr(daemons.importlib, "import_module", lambda name: sys.modules[name])
    with pytest.raises(SystemExit) as caught:
        entry.main(["northd", "--help", "--ovnnb-db=unix:x", "-vconsole:off"])
    assert caught.value.code == 3
    assert seen == [["--help", "--ovnnb-db=unix:x", "-vconsole:off"]]


def test_an_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        entry.main(["status", "--rundir", str(tmp_path)])
    assert caught.value.code == 1
    assert capsys.readouterr().err == f"ovenbird: no cloud runs in {tmp_path}\n"


def test_status_for_programs(lab: Lab) -> None:
    result = _run("status", "--json", "--rundir", str(lab.layout.rundir))
    assert result.exit_code == 1  # central does not run
    status = json.loads(result.output)
    assert status["api"] == "http://127.0.0.1:9"
    for database in ("nb", "sb", "cloud"):
        assert status[database] == f"unix:{lab.layout.rundir}/{database}.sock"
    assert status["tcp"] == {"nb": "tcp:127.0.0.1:7"}
    assert [host["name"] for host in status["hosts"]] == ["hv1", "hv2"]
    (instance,) = status["instances"]
    assert (instance["name"], instance["host"], instance["address"], instance["status"]) == (
        *("test1", "hv1"),
        *("10.0.0.5", "UNKNOWN"),
    )
    assert status["processes"]["central"] is None
    assert status["healthy"] is False
    assert "central: does not run" in status["problems"]


def test_exec_enters_the_namespace_with_or_without_dashes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[str, ...]] = []
    monkeypatch.setattr("ovenbird.cli.lab.check", lambda: None)
    monkeypatch.setattr("ovenbird.cli.lab.os.execvpe", lambda program, line, env: lines.append(line))
    place = ("lab", "exec", "--rundir", str(lab.layout.rundir), "test1")
    assert "options of `exec` come before the instance's name" in _run(*place, "--rundir", "/x", "--", "true").output
    for command in (("--", "ping", "-c", "1", "--", "x"), ("ping", "-c", "1", "--", "x")):
        assert _run(*place, *command).exit_code == 0
    inside = ("ip", "netns", "exec", f"{lab.layout.prefix}vm-test1", "ping", "-c", "1", "--", "x")
    assert lines == [inside, inside]
    assert _run(*place, "--").exit_code == 2


def test_userdata_is_removed_with_its_instance(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovenbird.cli.lab.check", lambda: None)
    boots = UserdataStore(lab.layout.boots)
    first = InstanceUserdata("first")
    boots.put("lab-test1", first)
    data = tmp_path / "data"
    data.write_bytes(b"\x00data")
    key = tmp_path / "laptop.pub"
    key.write_text("ssh-ed25519 AAAA me\n")
    given: list[InstanceUserdata] = []

    def boot(lab: Lab, name: str, *, record: AbstractContextManager[None], **_: object) -> Instance:
        with lab._reserved(name), record:
            return booted(lab, name)

    def booted(lab: Lab, name: str) -> Instance:
        given.append(boots.get(f"lab-{name}"))
        if name == "fails":
            raise WaitTimeoutError("no address")
        return Instance(lab.layout, name, host="hv1", port_id="p", mac="m")

    monkeypatch.setattr(Lab, "boot", boot)
    place = ("lab", "boot", "--rundir", str(lab.layout.rundir), "--network", "n")
    assert _run(*place, "test1").exit_code == 1  # there is one of that name
    assert boots.get("lab-test1") == first
    assert _run(*place, "fails").exit_code == 1
    assert not boots.path("lab-fails").exists()
    options = ("--hostname", "web.example", "--key", str(key), "--user-data", str(data))
    assert _run(*place, "web", *options).exit_code == 0
    assert given[-1] == InstanceUserdata("web.example", {"laptop": "ssh-ed25519 AAAA me"}, b"\x00data")


def test_status_for_people(lab: Lab) -> None:
    path = record_path(lab.layout.rundir, "central")
    path.parent.mkdir()
    own = Process.of(int(Path("/proc/self").readlink().name))
    assert own is not None
    own.save(path)
    text = _text(screen.cloud(Status.of(lab)))
    assert f"pid {own.pid}" in text
    assert "not running" in text
    assert "10.0.0.5" in text
    assert "tcp:127.0.0.1:7" in text


def test_the_ping_and_commands_to_try_are_shown(lab: Lab) -> None:
    (instance,) = lab.list()
    assert "64 bytes from" in _text(screen.ping(DemoTopology((instance, instance), "64 bytes from 10.0.0.6\n")))
    text = _text(screen.next_steps(Status.of(lab), "ovenbird", 4.2))
    assert "Ready after 4.2 s" in text
    assert text.count("  # ") == 6
    assert "ping -c 3 127.0.0.1" in text  # nobody else is there to be pinged
    assert f"--rundir {lab.layout.rundir}" in text


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements.os, "geteuid", lambda: 1000)
    with pytest.raises(RequirementError, match="need root"):
        requirements.check()
    monkeypatch.setattr(requirements.os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "find_program", lambda name: None if name == "ovs-vswitchd" else name)
    with pytest.raises(RequirementError, match=r"missing ovs-vswitchd: apt-get install openvswitch-switch$"):
        requirements.check()
    monkeypatch.setattr(requirements, "find_program", lambda name: None)
    with pytest.raises(LabError, match=r"ethtool iproute2 iputils-ping openvswitch-switch udhcpc util-linux$"):
        requirements.check()


def test_up_refuses_settings_that_make_no_sense_before_anything_is_done(tmp_path: Path) -> None:
    rundir = tmp_path / "cloud"
    result = _run("up", "--rundir", str(rundir), "--set", "max_routes=1", "--set", "metdta=true")
    assert result.exit_code == 2
    assert result.output.endswith("Error: --set: there is no setting metdta: is metadata meant?\n")
    assert not rundir.exists()


@pytest.mark.parametrize(
    ("words", "served"), [((), True), (("--set=metadata=OFF",), False), (("--no-metadata",), False)]
)
def test_hosts_serve_metadata_if_the_setting_says_so(
    words: tuple[str, ...], served: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def make(*_: object, metadata: bool, **__: object) -> Layout:
        asked.append(metadata)
        raise LabError("planned")

    monkeypatch.setattr(Layout, "make", make)
    for name in ("ovenbird.cli.up.check", "ovenbird.lab.lab.check"):
        monkeypatch.setattr(name, lambda: None)
    assert isinstance(_run("up", "--rundir", str(tmp_path), *words).exception, LabError)
    assert asked == [served]
