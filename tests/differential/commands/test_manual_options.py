"""Each option of the manual pages of clients and daemons: the clients say the same of our deployment as of theirs."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from support.commands import clients, manual
from support.controller.site import OVENBIRD, one_chassis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.controller.site import Site

HERE = Path(__file__).parent
PROGRAMS = {"ovn-nbctl": 8, "ovn-sbctl": 8, "ovn-trace": 8, "ovn-detrace": 1, "ovn-appctl": 8}
"""The clients, and the sections of their manual pages."""
SCRIPTS = {"ovn-nbctl": "northbound.nbctl", "ovn-sbctl": "southbound.sbctl"}
"""The scripts in which options of single commands occur, which `test_manuals` runs."""
OF_THE_CLIENT = {"--detach", "--monitor"}
"""Options that make a client a daemon, as `test_manuals` uses it, and another process that starts it again."""
DAEMONS = {"ovn-northd": "northd", "ovn-controller": "controller", "ovn-ic": "ic"}
ABSENT = {"ovn-northd": {"--ddlog-record"}}
"""Options that the original itself does not take: they are ovn-northd-ddlog's."""
NETWORK = """
ls-add sw0
lsp-add sw0 p1 -- lsp-set-addresses p1 "0a:00:00:00:00:01 10.0.0.11"
lsp-add sw0 p2 -- lsp-set-addresses p2 "0a:00:00:00:00:02 10.0.0.12"
lb-add lb0 30.0.0.1:80 10.0.0.11:80,10.0.0.12:80 tcp -- ls-lb-add sw0 lb0
"""
FROM = 'inport == "p1" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && ip4.src == 10.0.0.11'
INPUTS = {
    "PACKET": f"{FROM} && ip4.dst == 10.0.0.12 && icmp4 && ip.ttl == 64",
    "BALANCED": f"{FROM} && ip4.dst == 30.0.0.1 && tcp.dst == 80 && ip.ttl == 64",
}
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def options(page: str, section: int) -> set[str]:
    """Return the options of a manual page."""
    text = manual.source(page, section)
    if text is None:
        pytest.skip(f"needs the manual page {page}({section})")
    headings = {line.removeprefix(".SH").strip(' "').upper() for line in text.splitlines() if line.startswith(".SH")}
    entries = [entry.strip() for heading in headings for entry in manual.entries(text, heading)]
    return {option for entry in entries if entry.startswith(("-", "[-")) for option in _named(entry)}


def _named(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", text))


def lines(program: str) -> list[str]:
    return [line for line in clients.script(HERE / "clients.options") if line.split()[0] == program]


class Said(NamedTuple):
    """What a client says and whether it fails, without what names one deployment alone."""

    text: list[str]
    failed: bool


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Site, Site]]:
    server = (OVENBIRD, "db")
    with (
        one_chassis(NETWORK, {"p1": 11, "p2": 12}) as theirs,
        one_chassis(
            NETWORK, {"p1": 11, "p2": 12}, servers={"nb": server, "sb": server}, northd=(OVENBIRD, "northd")
        ) as ours,
    ):
        for site, program in ((theirs, ("ovn-controller",)), (ours, (OVENBIRD, "controller"))):
            site.spawn(*program, f"unix:{site.directory}/db.sock")
            site.sbctl("wait-until", "Port_Binding", "p2", "up=true")
            site.nbctl("--wait=hv", "sync")
        yield theirs, ours


def said(site: Site, line: str) -> Said:
    """Run a line; `PACKET` and `BALANCED` are packets, `COOKIE` is a logical flow's, as ovs-appctl(8) prints it."""
    words = [INPUTS.get(word, word).replace("{}", str(site.directory)) for word in shlex.split(line)]
    text = None
    if words[-1] == "COOKIE":
        find = ("--bare", "--columns=_uuid", "find", "Logical_Flow", "pipeline=ingress", "priority=50")
        uuid = next(iter(sorted(site.sbctl(*find, 'match="eth.dst == 0a:00:00:00:00:01"').split())))
        text, words = f" 1. reg14=0x1, priority 100, cookie 0x{uuid[:8]}\n", words[:-1]
    done = subprocess.run(words, input=text, capture_output=True, text=True, env=site.env, timeout=30, check=False)
    shown = _UUID.sub("UUID", done.stdout.replace(str(site.directory), "DIRECTORY")).splitlines()
    return Said(_essence(line, shown), done.returncode != 0)


def _essence(line: str, shown: list[str]) -> list[str]:
    """Return what has to be the same: of flows, which are formulated differently, where packets go."""
    if re.match("ovn-trace (?!--help|--version)", line) or "--ovs" in line:
        return [each.strip(" ;") for each in shown if "output to" in each or "output(" in each]
    if "--print-wait-time" in line:
        return [re.sub(r"\d+", "N", each) for each in shown]
    if "detrace" in line:
        return [each.strip() for each in shown if "Logical datapath" in each or "cookie" not in each][:2]
    return sorted(shown)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_script_has_every_option_of_the_clients_manuals(program: str) -> None:
    found = options(program, PROGRAMS[program])
    tried = _named("\n".join(lines(program)))
    if program in SCRIPTS:
        tried |= _named((HERE / SCRIPTS[program]).read_text())
    assert len(found) >= 2, "the page is read as it should be"
    assert found - OF_THE_CLIENT - tried == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_of_a_client_has_the_same_effect(both: tuple[Site, Site], program: str) -> None:
    theirs, ours = both
    wrong = []
    for line in lines(program):
        right, mine = said(theirs, line), said(ours, line)
        if right != mine:
            wrong.append((line, right, mine))
    assert not wrong


@pytest.mark.parametrize("program", DAEMONS)
def test_daemons_take_every_option_of_the_originals_manuals(program: str) -> None:
    done = subprocess.run([OVENBIRD, DAEMONS[program], "--options"], capture_output=True, text=True, check=True)
    assert options(program, 8) - _named(done.stdout) == ABSENT.get(program, set())
