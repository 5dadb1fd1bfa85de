"""docs/reference/options.md says what the parsers take, and they take what the originals do. `make docs` writes it."""

from __future__ import annotations

import fnmatch
import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ovenbird.cli.daemons import DAEMONS
from ovenbird.daemon.options import COMMON, GROUPS, SHORT
from support import ROOT
from support.reference import options as option_reference

REFERENCE = ROOT / "docs" / "reference" / "options.md"
OVN_CTL = Path("/usr/share/ovn/scripts/ovn-ctl")
LONG = re.compile(r"(?<![\w/-])--([a-z][a-z-]+[a-z])")


def test_the_reference_of_options_is_up_to_date():
    text = option_reference.text()
    if os.environ.get("OVENBIRD_UPDATE_GOLDEN"):
        REFERENCE.write_text(text)
    assert REFERENCE.read_text() == text, "run `make docs`"


def test_every_environment_variable_stands_in_the_reference():
    asked = option_reference.environment_variables()
    assert {"OVN_NB_DB", "OVS_SYSLOG_METHOD", "OVENBIRD_RUNDIR", "COLUMNS"} <= asked
    assert asked <= option_reference.VARIABLES.keys()


@pytest.mark.parametrize("name", DAEMONS)
def test_help_shows_every_option_once(name, capsys):
    daemon = importlib.import_module(f"ovenbird.daemon.{name}").daemon()
    assert daemon.run(["--help"]) == 0
    shown = [
        match for line in capsys.readouterr().out.splitlines() for match in re.findall(r"^  (?:-\w, )?--([\w-]+)", line)
    ]
    assert sorted(shown) == sorted({**daemon.own, **COMMON})
    assert not daemon.own.keys() & COMMON.keys()
    assert set(SHORT.values()) <= COMMON.keys()
    assert len(COMMON) == sum(len(group) for group in GROUPS.values())
    assert daemon.run(["-o"]) == 0
    assert [line[2:].partition("=")[0] for line in capsys.readouterr().out.split() if line.startswith("--")] == [
        *daemon.own, *COMMON
    ]  # fmt: skip


@pytest.mark.parametrize("program", option_reference.ORIGINALS)
def test_every_option_of_an_original_is_accepted_or_refused_with_a_reason(program):
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    said = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    theirs = set(LONG.findall(said))
    assert {"pidfile", "private-key", "monitor"} <= theirs
    daemon = importlib.import_module(f"ovenbird.daemon.{option_reference.ORIGINALS[program]}").daemon()
    ours, untaken = {**daemon.own, **COMMON}.keys(), option_reference.UNTAKEN[program].keys()
    assert theirs - ours == untaken


@pytest.mark.skipif(not OVN_CTL.exists(), reason="needs ovn-ctl")
def test_every_option_of_ovn_ctl_is_decided():
    said = subprocess.run([OVN_CTL, "--help"], capture_output=True, text=True, check=False).stdout
    theirs = {f"--{name}" for line in said.splitlines() for name in re.findall(r"^  (?:-h, )?--([\w-]+)", line)}
    patterns = [pattern for names in option_reference.OVN_CTL for pattern in names.split()]
    assert len(theirs) > 80
    assert [name for name in sorted(theirs) if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []
    assert [each for each in patterns if not fnmatch.filter(theirs, each)] == []
