"""Each command of the daemons' manual pages, asked of the originals and of ours, beside what the page says of it."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovenbird.model import nb
from support.commands import clients, manual, page
from support.commands.control import Answer, ask, known
from support.controller.site import OVENBIRD, Site, one_chassis
from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

NETWORK = r"""
ls-add sw0
lsp-add sw0 p1 -- lsp-set-addresses p1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 p2 -- lsp-set-addresses p2 "0a:00:00:00:00:02 10.0.0.12"
lsp-add sw0 c1 p1 5 -- lsp-set-addresses c1 "0a:00:00:00:00:03 10.0.0.13"
lr-add r0 -- lrp-add r0 r0-sw0 0a:00:00:00:00:fe 10.0.0.1/24
lsp-add sw0 sw0-r0 -- lsp-set-type sw0-r0 router -- lsp-set-addresses sw0-r0 router
lsp-set-options sw0-r0 router-port=r0-sw0
pg-add pg p1 p2 -- meter-add m1 drop 100 pktps
acl-add pg to-lport 1002 "outport == @pg && ip4.src == $pg_ip4 && tcp.dst == {1, 2, 4}" allow
--meter=m1 --log --name=x acl-add pg to-lport 1001 "outport == @pg && ip4" drop
qos-add sw0 to-lport 100 "outport == \"p1\" && ip4" rate=1000 burst=100
lb-add lb0 30.0.0.1:80 10.0.0.11:80,10.0.0.12:80 tcp -- ls-lb-add sw0 lb0
create Chassis_Template_Var chassis=hv1 variables:a=b
"""
NB_SCHEMA = Path("/usr/share/ovn/ovn-nb.ovsschema")
VTEP_SCHEMA = Path("/usr/share/openvswitch/vtep.ovsschema")
PORTS = {"p1": 11, "p2": 12}

MANUALS = {
    page.EVERY: (("ovs-appctl", 8, "COMMON COMMANDS"), ("ovn-appctl", 8, "COMMAND COMMANDS")),
    "ovn-northd": (("ovn-northd", 8, "RUNTIME MANAGEMENT COMMANDS"),),
    "ovn-controller": (("ovn-controller", 8, "RUNTIME MANAGEMENT COMMANDS"),),
    "ovn-ic": (("ovn-ic", 8, "RUNTIME MANAGEMENT COMMANDS"),),
    "ovn-controller-vtep": (),
    "ovsdb-server": (("ovsdb-server", 1, "RUNTIME MANAGEMENT COMMANDS"),),
}
"""The manual pages that list a daemon's commands, with the section and the heading."""
NO_COMMANDS = {
    page.EVERY: {"off", "emer", "err", "warn", "info", "dbg"},
    "ovn-northd": {"recompute", "compute", "abort"},
    "ovn-controller": {"compute", "abort"},
}
"""Entries of these lists that explain a command."""

PACKET = "eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && ip4.src == 10.0.0.11 && icmp4.type == 8"
THREADS = [["1"], ["0"], ["257"], ["x"], []]
ARGUMENTS = {
    "coverage/read-counter": [["unixctl_received"], ["nosuch"], []],
    "stopwatch/show": [[], ["nosuch"], ["a", "b"]],
    "stopwatch/reset": [[], ["nosuch"]],
    "set-options": [["--format", "text"], ["--format", "x"], ["--x"], []],
    "vlog/set": [
        *(["file:dbg"], ["nosuch"], ["PATTERN:file:%m"], ["PATTERN:nosuch:%m"], ["FACILITY:daemon"]),
        *(["FACILITY:nosuch"], ["file:info", "syslog:off"]),
    ],
    "vlog/disable-rate-limit": [[], ["nosuch"], ["any"]],
    "vlog/enable-rate-limit": [["nosuch"], ["any"]],
    "inc-engine/show-stats": [[], ["nosuch"], ["a", "b", "c"]],
    "inc-engine/compute-log-timeout": [["1000"], ["x"], []],
    "set-n-threads": THREADS,
    "parallel-build/set-n-threads": THREADS,
    "inject-pkt": [
        *([f'inport == "p1" && {PACKET}'], [f'inport == "nobody" && {PACKET}'], [PACKET], ["ip4 &&"], []),
    ],
    "debug/delay-nb-cfg-report": [["1"], ["0"], ["x"], []],
    "cluster/change-election-timer": [["OVN_Northbound", "1000"]],
    "cluster/kick": [["OVN_Northbound", "s1"]],
    "cluster/set-backlog-threshold": [["OVN_Northbound", "1", "1"]],
    **{f"cluster/{name}": [["OVN_Northbound"]] for name in ("cid", "leave", "sid", "status")},
    "ovsdb-server/add-db": [["/nonexistent/db"], []],
    "ovsdb-server/add-remote": [["punix:{}/more.sock"], []],
    "ovsdb-server/remove-remote": [["nosuch"], ["punix:{}/more.sock"], []],
    "ovsdb-server/remove-db": [["nosuch"], []],
    "ovsdb-server/compact": [[], ["OVN_Northbound"], ["nosuch"]],
    "ovsdb-server/memory-trim-on-compaction": [["on"], ["off"], ["x"], []],
    "ovsdb-server/get-db-storage-status": [["OVN_Northbound"], ["nosuch"], []],
    "ovsdb-server/set-active-ovsdb-server": [["unix:{}/none.sock"]],
    "ovsdb-server/set-active-ovsdb-server-probe-interval": [["1000"], ["x"], []],
    "ovsdb-server/set-sync-exclude-tables": [["OVN_Northbound:ACL"], ["nosuch"]],  # without, the original dies
    "ovsdb-server/tlog-set": [
        *(["OVN_Northbound:ACL", "on"], ["OVN_Northbound:nosuch", "on"], ["nosuch", "on"], ["nosuch:ACL", "on"]),
        *(["OVN_Northbound:ACL", "x"], ["OVN_Northbound:ACL", "off"], ["OVN_Northbound:ACL"]),
    ],
}
"""What each command is asked with, in turn; without arguments alone if it is not here."""
LAST = ("ovsdb-server/reconnect",)
"""Commands that disturb those behind them."""

_FIGURES = r"(?:[\w./-]+: *\d+\n)"
_NODES = r"(?:Node: \S+\n- recompute: +\d+\n- compute: +\d+\n- abort: +\d+\n)+"
_WATCH = (
    r"Statistics for '[^']+'\n  Total samples: \d+\n  Maximum: \d+ msec\n  Minimum: \d+ msec\n"
    r"  95th percentile: \d+\.\d{6} msec\n  Short term average: \d+\.\d{6} msec\n  Long term average: \d+\.\d{6} msec\n"
)
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_EVENTS = r"(?:[\w]+ +\d+\.\d/sec +\d+\.\d{3}/sec +\d+\.\d{4}/sec   total: \d+\n)+"
FORMS = {
    "coverage/show": rf"Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=[0-9a-f]{{8}}:\n"
    rf"{_EVENTS}\d+ events never hit\n",
    "coverage/read-counter": r"\d+\n",
    "list-commands": r"The available commands are:\n(?:  [a-z/-]+ *.*\n)+",
    "memory/show": r"(?:(?:[\w-]+:\d+ )*[\w-]+:\d+\n?)?",
    "stopwatch/show": rf"(?:{_WATCH})*",
    "version": r".* \d+\.\d+\.\d+\n(?:.*\n)*",
    "vlog/list": r" +console    syslog    file\n +-------    ------    ------\n(?:[\w.]+ +[A-Z]+ +[A-Z]+ +[A-Z]+\n)+",
    "vlog/list-pattern": r" +prefix +format\n +------ +------\nSYSLOG   .*\nCONSOLE  none +\S.*\nFILE     none +\S.*\n",
    "debug/chassis-features-list": r"(?:[a-z_]+: +(?:true|false)\n)+",
    "inc-engine/show-stats": rf"(?:{_NODES})?\n?",
    "ct-zone-list": r"(?:[\w-]+ \d+\n)+",
    "group-table-list": r"(?:type=select,selection_method=\S+,bucket=bucket_id=0,weight:100,actions=ct\(.*\): \d+\n)+",
    "meter-table-list": rf"(?:(?:m1|__string: uuid {_UUID} kbps burst stats bands=\S+ rate=\d+ \w+=\d+): \d+\n)+",
    "debug/dump-lflow-conj-ids": rf"Conjunction IDs allocations:\n(?:lflow: {_UUID}, dp: \S+, start: \d+, n: \d+\n)+"
    r"---\nTotal \d+ IDs used\.\n",
    "lflow-cache/show-stats": r"Enabled: true\n(?:[\w.() -]+: \d+\n)+",
}
"""What an answer of that form looks like, the original's and ours."""


class Deployment:
    """One deployment of the original's daemons or of ours, and their control sockets by the daemons' names."""

    def __init__(self, site: Site, *, ours: bool) -> None:
        self.site = site
        if VTEP_SCHEMA.exists():
            site.database("vtep", str(VTEP_SCHEMA))
        local, southbound, switches, none = (
            f"unix:{site.directory}/{name}.sock" for name in ("db", "sb", "vtep", "none")
        )
        nowhere = tuple(f"--{name}={none}" for name in ("ovnnb-db", "ovnsb-db", "ic-nb-db", "ic-sb-db"))
        for program, command, options in (
            ("ovn-controller", "controller", (local,)),
            ("ovn-ic", "ic", nowhere),
            ("ovn-controller-vtep", "vtep", (f"--vtep-db={switches}", f"--ovnsb-db={southbound}")),
        ):
            if shutil.which(program) and (program != "ovn-controller-vtep" or VTEP_SCHEMA.exists()):
                site.spawn(*((OVENBIRD, command) if ours else (program,)), *options)
        site.sbctl("wait-until", "Port_Binding", "p2", "up=true")
        site.nbctl("--wait=hv", "sync")
        self.sockets = {"ovsdb-server": site.directory / "nb.ctl"}
        for name in ("ovn-northd", "ovn-controller", "ovn-ic", "ovn-controller-vtep"):
            if found := [*site.directory.glob(f"{name}.*.ctl")]:
                (self.sockets[name],) = found

    def ask(self, daemon: str, command: str, arguments: list[str]) -> Answer:
        """Return an answer, without what names this deployment alone."""
        place = str(self.site.directory)
        answer = ask(self.sockets[daemon], command, *[each.replace("{}", place) for each in arguments])
        return answer._replace(text=answer.text.replace(place, "DIRECTORY"))


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Deployment, Deployment]]:
    server = (OVENBIRD, "db")
    with ExitStack() as stack:
        original = stack.enter_context(one_chassis(NETWORK, PORTS))
        ours = stack.enter_context(
            one_chassis(NETWORK, PORTS, servers={"nb": server, "sb": server}, northd=(OVENBIRD, "northd"))
        )
        yield Deployment(original, ours=False), Deployment(ours, ours=True)


def verdicts(daemon: str) -> dict[str, str]:
    rows = page.rows()
    return {**rows[page.EVERY], **rows[daemon]}


@pytest.mark.parametrize("daemon", MANUALS)
def test_the_page_has_every_command_of_the_manuals(daemon: str) -> None:
    rows = page.rows()[page.EVERY] if daemon == page.EVERY else verdicts(daemon)
    for name, section, heading in MANUALS[daemon]:
        found = manual.commands(name, section, heading)
        if found is None:
            pytest.skip(f"needs the manual page {name}({section})")
        assert found - NO_COMMANDS.get(daemon, set()), "the page is read as it should be"
        assert found - NO_COMMANDS.get(daemon, set()) <= rows.keys()


@pytest.mark.parametrize("daemon", [each for each in MANUALS if each != page.EVERY])
def test_commands_answer_as_the_page_says(both: tuple[Deployment, Deployment], daemon: str) -> None:
    original, ours = both
    if daemon not in original.sockets:
        pytest.skip(f"needs {daemon}")
    theirs = known(original.sockets[daemon])
    rows = verdicts(daemon)
    assert theirs <= rows.keys()
    assert known(ours.sockets[daemon]) == {name for name, verdict in rows.items() if verdict != "not here"}
    wrong = []
    for command, verdict in sorted(rows.items(), key=lambda row: (row[0] in LAST, row[0])):
        for arguments in ARGUMENTS.get(command, [[]]) if command != "exit" else []:
            mine = ours.ask(daemon, command, arguments)
            if verdict == "not here":
                right = mine.failed and f'"{command}" is not here, because ' in mine.text
            elif command not in theirs or verdict == "ours":
                right = mine.failed or mine.text == "" or mine.text.endswith("\n")
            else:
                right = agree(both, daemon, command, arguments)
            if not right:
                wrong.append((command, arguments, mine, original.ask(daemon, command, arguments)))
    assert not wrong


def agree(both: tuple[Deployment, Deployment], daemon: str, command: str, arguments: list[str]) -> bool:
    """Return whether both answer in one way, at least after a while: a connection may just be made anew."""

    def compared() -> bool:
        theirs, mine = (each.ask(daemon, command, arguments) for each in both)
        verdict = verdicts(daemon)[command]
        if theirs.failed or mine.failed:
            return theirs.failed == mine.failed
        form = FORMS.get(command, "")
        if verdict == "form" and not (re.fullmatch(form, theirs.text) and re.fullmatch(form, mine.text)):
            return False
        return essence(command, theirs.text) == essence(command, mine.text)

    try:
        until(compared, seconds=30)
    except AssertionError:
        return False
    return True


def essence(command: str, text: str) -> object:
    """Return what of an answer is the same wherever the same is configured."""
    if command in ("ct-zone-list", "meter-table-list"):
        lines = re.sub(_UUID, "UUID", text).splitlines()
        return sorted(re.sub(r":? \d+$", "", line) for line in lines)
    if command == "group-table-list":
        return len(text.splitlines())
    return text if command not in FORMS else ""


def test_a_paused_daemon_reports_that_it_is_paused(both: tuple[Deployment, Deployment]) -> None:
    for each in both:
        for daemon in ("ovn-northd", "ovn-ic"):
            if daemon not in each.sockets:
                continue
            assert each.ask(daemon, "pause", []) == ("", False)
            assert each.ask(daemon, "is-paused", []).text == "true\n"
            assert each.ask(daemon, "status", []).text == "Status: paused\n"
            assert each.ask(daemon, "resume", []) == ("", False)
            assert each.ask(daemon, "is-paused", []).text == "false\n"
        until(lambda each=each: each.ask("ovn-northd", "status", []).text == "Status: active\n")


VALUES = {
    *("dynamic", "integer", "packets", "real", "router", "string", "unknown", "vtep"),
    *("ca-cert", "private-key"),
}
"""Entries of the manual pages' lists that are values, not commands."""
SCRIPTS = {"ovn-nbctl": ("nb", "northbound.nbctl"), "ovn-sbctl": ("sb", "southbound.sbctl")}
HERE = Path(__file__).parent


@pytest.mark.parametrize("program", SCRIPTS)
def test_the_scripts_have_every_command_of_the_clients_manuals(program: str) -> None:
    found = clients.manual_commands(program)
    if found is None:
        pytest.skip(f"needs the manual page {program}(8)")
    lines = [*clients.script(HERE / SCRIPTS[program][1])]
    assert len(found) > 20, "the page is read as it should be"
    assert found - VALUES <= {name for line in lines for name in clients.command_names(line)}


@pytest.mark.parametrize("program", SCRIPTS)
def test_every_command_of_a_client_says_the_same(both: tuple[Deployment, Deployment], program: str) -> None:
    database, file = SCRIPTS[program]
    pair = [clients.Client(each.site, program, database) for each in both]
    try:
        wrong = []
        for line in clients.script(HERE / file):
            theirs, mine = (client.run(line) for client in pair)
            if (theirs.failed, likened(theirs.text)) != (mine.failed, likened(mine.text)):
                wrong.append((line, theirs, mine))
        assert not wrong
        if database == "nb":
            tables = {row_class.TABLE for row_class in nb.ROWS} & json.loads(NB_SCHEMA.read_text())["tables"].keys()
            theirs, mine = (client.rows(tables, without_own) for client in pair)
            assert theirs == mine
    finally:
        for client in pair:
            client.close()


def likened(text: str) -> object:
    """Return what a client says without the order of rows, and without the deployment's directory."""
    return sorted(re.sub(r"/[^ ]*/(nb|sb|db)\.sock", "", text).splitlines())


def without_own(table: str, column: str) -> bool:
    """Return whether northd or a controller writes a column, with what is its own."""
    own = {"NB_Global": {"options", "nb_cfg_timestamp", "sb_cfg_timestamp", "hv_cfg_timestamp", "sb_cfg", "hv_cfg"}}
    return column in own.get(table, set())


def test_zz_each_ends_when_it_is_told_to(both: tuple[Deployment, Deployment]) -> None:
    for each in both:
        for daemon in ("ovn-controller", "ovn-controller-vtep", "ovn-ic", "ovn-northd"):
            if (socket := each.sockets.get(daemon)) is not None:
                assert each.ask(daemon, "exit", []) == ("", False)
                until(lambda socket=socket: not socket.exists())
