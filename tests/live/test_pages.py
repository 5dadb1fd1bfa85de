"""README and the pages of docs/ as they are typed, and the demo topology as `ovenbird up` shows it, on one cloud.

The cloud is brought up as README says, with every default, on a machine of its own: a network namespace, where the
ports that the pages name are free.
"""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ovenbird.cli.commands import ovenbird
from ovenbird.lab import demo_topology, process
from ovenbird.lab.command import run
from ovenbird.lab.errors import CommandError
from ovenbird.lab.external_network import ADDRESS, ExternalNetwork
from ovenbird.lab.lab import Lab
from ovenbird.lab.layout import DEFAULT_RUNDIR
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.requirements import environment
from support import ROOT
from support.live import traffic
from support.live.pages import PROGRAMS, Page, Shell, has_shape

pytestmark = pytest.mark.live


PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
"""README's last command removes the cloud."""


@dataclass
class Machine:
    """A machine that somebody reads the pages on.

    Arguments:
        namespace: its name.
        directory: where commands are typed; it stands for the source's folder.
    """

    namespace: str
    directory: Path

    @property
    def rundir(self) -> Path:
        return self.directory / "run"

    @property
    def variables(self) -> dict[str, str]:
        programs = f"{Path(sys.executable).parent}:{environment()['PATH']}"
        places = {
            "HOME": str(self.directory),
            "OVENBIRD_RUNDIR": str(self.rundir),
            "OVS_RUNDIR": str(self.rundir / "hv2"),  # commands of a hypervisor are typed there
            "OVN_RUNDIR": str(self.directory / "ovn"),
        }
        return {"PATH": programs, "LC_ALL": "C.UTF-8", "TERM": "dumb", **places}

    def has(self, program: str) -> bool:
        return shutil.which(program, path=self.variables["PATH"]) is not None

    def here(self, text: str) -> str:
        """Put the places that pages speak of into the directory."""
        return text.replace(str(DEFAULT_RUNDIR), str(self.rundir)).replace("/var/lib/ovenbird", str(self.rundir))

    def shell(self) -> Shell:
        return Shell(self.namespace, self.directory, self.variables)

    def run(self, *argv: str) -> str:
        return run(["nsenter", f"--net=/run/netns/{self.namespace}", *argv], env=self.variables, timeout=60)

    def ovenbird(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "ovenbird.cli", *arguments)

    def api(self, collection: str) -> list[dict[str, Any]]:
        answer = json.loads(self.run("curl", "-sSf", f"http://127.0.0.1:9696/v2.0/{collection}"))
        found: list[dict[str, Any]] = answer[collection]
        return found


def _machine(stack: ExitStack, name: str) -> Machine:
    directory = Path(tempfile.mkdtemp(prefix="ob", dir="/tmp"))
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    machine = Machine(f"{name}{os.getpid()}", directory)
    (directory / "ovn").mkdir()
    for original, ours in (("ovnnb_db", "nb"), ("ovnsb_db", "sb")):
        (directory / "ovn" / f"{original}.sock").symlink_to(machine.rundir / f"{ours}.sock")
    (directory / ".venv").symlink_to(sys.prefix)
    (directory / ".config").mkdir()
    run(["ip", "netns", "add", machine.namespace])
    stack.callback(_remove, machine.namespace)
    run(["ip", "-n", machine.namespace, "link", "set", "lo", "up"])
    return machine


def _remove(namespace: str) -> None:
    process.stop(
        [found for pid in run(["ip", "netns", "pids", namespace]).split() if (found := process.Process.of(int(pid)))]
    )
    run(["ip", "netns", "delete", namespace])


@pytest.fixture(scope="module")
def first_hours(machine: None) -> Iterator[tuple[Machine, str]]:
    """Bring the cloud up, and give the machine that it is on and what the command printed."""
    with ExitStack() as stack:
        made = _machine(stack, "obpages")
        stack.callback(made.ovenbird, "down")
        yield made, made.ovenbird("up")


@pytest.fixture
def alone(machine: None) -> Iterator[Machine]:
    """Give a machine without a cloud."""
    with ExitStack() as stack:
        yield _machine(stack, "obalone")


def test_up_says_that_it_runs(first_hours: tuple[Machine, str]) -> None:
    where, first = first_hours
    assert "3 packets transmitted, 3 received" in first
    assert first.count("2 packets transmitted, 2 received") == 3  # outside in, inside out, over IPv6
    for title in ("at its floating IP", "pings the outside world", "pings test2 over IPv6", "/meta_data.json"):
        assert title in first
    assert '"hostname": "test1"' in first
    for word in ("test1", "test2", "hv1", "hv2", "ACTIVE", "http://127.0.0.1:9696"):
        assert word in first
    with pytest.raises(CommandError, match=f"a cloud is already running in {where.rundir}"):
        where.ovenbird("up")
    assert json.loads(where.ovenbird("status", "--json"))["healthy"]


ALLOWED = ("delivered to", "sent back to")


def _trace_says(rundir: Path, question: str) -> bool:
    """Say whether a packet arrives, or is answered, by `ovenbird trace`."""
    found = CliRunner().invoke(ovenbird, ["trace", "--rundir", str(rundir), "--json", *question.split()])
    if found.exit_code:
        assert found.output.startswith("Error: "), found.exception
        return False
    said: str = json.loads(found.output)["verdicts"][0]
    return said.startswith(ALLOWED)


def _pings(space: Namespace, address: str, *options: str) -> bool:
    command = f"ping -n -c 2 -i 0.2 -W 1 {' '.join(options)} {address} || true"
    return "bytes from" in space.run("sh", "-c", command)


def test_trace_says_what_real_packets_find(first_hours: tuple[Machine, str]) -> None:
    where, _ = first_hours
    lab = Lab.open(where.rundir)
    one, two = (lab.instance(name) for name in ("test1", "test2"))
    outside, metadata = ExternalNetwork(lab.layout).namespace, "169.254.169.254"
    away = "192.0.2.1"  # which is what `public` stands for
    floating = where.api("floatingips")[0]["floating_ip_address"]
    router = where.api("routers")[0]["external_gateway_info"]["external_fixed_ips"][0]["ip_address"]
    outside.batch([f"address add {away}/32 dev br-outside", f"route add {demo_topology.SUBNET} via {router}"])
    addresses = {"test1": one.address or "", "test2": two.address or "", "public": away}
    near = ("test1", "test2", "10.0.0.1", "10.0.0.77", ADDRESS, "172.24.4.77", "public", metadata, floating, router)
    pings = [("test1", one.namespace, to, ()) for to in (*near[1:], two.address6 or "", "fd00:10::", "2001:db8::1")]
    pings += [("test2", two.namespace, to, ()) for to in near if to != "test2"]
    pings += [(ADDRESS, outside, to, ()) for to in ("test1", "test2", floating, router, "172.24.4.77")]
    pings += [("public", outside, to, ("-I", away)) for to in ("test1", "test2", router)]
    tcp = [(one, to, port) for to in ("test2", floating) for port in (22, 80)] + [(one, metadata, 80)]
    tcp += [(two, to, port) for to in ("test1", floating) for port in (22, 80)] + [(two, metadata, 80)]
    with traffic.serve(one, 22, 80), traffic.serve(two, 22, 80), ThreadPoolExecutor(8) as pool:
        found = {
            f"--from {name} --to {to}": pool.submit(
                _pings, space, floating if (space, to) == (outside, "test1") else addresses.get(to, to), *options
            )
            for name, space, to, options in pings
        }
        for instance, to, port in tcp:
            question = f"--from {instance.name} --to {to} --tcp {port}"
            found[question] = pool.submit(traffic.connects, instance, addresses.get(to, to), port)
    answers = {question: answer.result() for question, answer in found.items()}
    assert {question: _trace_says(where.rundir, question) for question in answers} == answers
    assert 0 < sum(answers.values()) < len(answers)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_commands_of_a_page_work(path: Path, request: pytest.FixtureRequest) -> None:
    page = Page.read(path.read_text())
    if page.own_test:
        assert (ROOT / page.own_test).exists(), f"{path.name} names {page.own_test} as its test"
        return
    if not any(not command.skipped for command in page.commands):
        return
    where: Machine = request.getfixturevalue("alone") if page.alone else request.getfixturevalue("first_hours")[0]
    typed = " ".join(command.text for command in page.commands if not command.skipped).split()
    if missing := sorted(PROGRAMS.intersection(typed) - {name for name in PROGRAMS if where.has(name)}):
        pytest.skip(f"missing {', '.join(missing)}")
    wrong = []
    with where.shell() as shell:
        for command in page.commands:
            if command.skipped:
                continue
            status, output = shell.run(where.here(command.text))
            if status:
                wrong.append(f"{path.name}:{command.line}: {command.text}\n  exit status {status}: {output}")
            elif command.output is not None and not has_shape(output, command.output):
                wrong.append(f"{path.name}:{command.line}: {command.text}\n  printed: {output}")
    assert not wrong, "\n".join(wrong)


def test_down_leaves_nothing(first_hours: tuple[Machine, str]) -> None:
    where, _ = first_hours
    layout = Lab.open(where.rundir).layout if where.rundir.exists() else None  # README's last command has removed it
    where.ovenbird("down")
    assert not where.rundir.exists()
    assert process.marked(where.rundir) == []
    if layout is not None:
        assert layout.prefix not in run(["ip", "netns", "list"])
    assert f"no cloud runs in {where.rundir}" in where.ovenbird("down")


def test_commands_are_found_where_pages_have_them() -> None:
    page = Page.read(
        "# Title\n\n    ovenbird status   # a comment\n    # a comment alone\n    ip link \\\n      show\n\nText:\n\n"
        "    port: value\n\n<!-- not run: it is far away -->\n\n    ovenbird api --db=REMOTE\n\n    ovenbird down\n\n"
        "```sh\ncat <<EOF\nsome text\n\nEOF\n```\n\n- Of a list:\n\n  ```console\n  $ ovenbird lab list\n  …\n"
        "  a 10.0.0.1 …\n  ```\n\n```\n a drawing\n```\n\n```ini\necho no\n```\n"
    )
    assert [(c.line, c.text, c.output, c.skipped) for c in page.commands] == [
        (3, "ovenbird status   # a comment", None, ""),
        (5, "ip link \\\n  show", None, ""),
        (14, "ovenbird api --db=REMOTE", None, "it is far away"),
        (16, "ovenbird down", None, "it is far away"),
        (19, "cat <<EOF\nsome text\n\nEOF", None, ""),
        (28, "ovenbird lab list", "…\na 10.0.0.1 …", ""),
    ]
    assert not page.alone
    assert Page.read("<!-- tested by tests/x.py -->\n<!-- on a machine of its own -->").own_test == "tests/x.py"


def test_output_is_judged_by_its_shape() -> None:
    assert has_shape("first\nsecond\na 10.0.0.7 up 4 s\n", "…\na 10.0.0.1 …")
    assert has_shape("a   fa:16:3e:00:00:01\n", "a fa:16:3e:11:22:33")
    assert not has_shape("b 10.0.0.7\n", "a 10.0.0.7")
    assert not has_shape("a 10.0.0.7\nmore\n", "a 10.0.0.7")
