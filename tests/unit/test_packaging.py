"""The systemd units that are shipped: in order, and as confined as they say."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from support import ROOT
from support.waiting import until

PACKAGING = ROOT / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


@needs_systemd
def test_units_are_in_order(tmp_path):
    assert len(UNITS) == 6
    for unit in UNITS:  # the program has to be there
        text = unit.read_text()
        assert "ExecStart=/opt/ovenbird/bin/ovenbird " in text
        (tmp_path / unit.name).write_text(text.replace("/opt/ovenbird/bin/ovenbird", sys.executable))
    names = [tmp_path / unit.name.replace("@", "@nb") for unit in UNITS]
    for unit, name in zip(UNITS, names, strict=True):
        if not name.exists():
            shutil.copy(tmp_path / unit.name, name)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *names],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_units_are_sandboxed(unit):
    most = 75 if unit.stem == "ovenbird-metadata" else 25  # tenths of systemd's ten
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:]


@pytest.mark.skipif(not all(map(shutil.which, ("logrotate", "ovn-appctl"))), reason="needs logrotate and ovn-appctl")
def test_a_log_is_rotated_and_goes_on_in_a_new_file(tmp_path):
    logs, run = tmp_path / "log", tmp_path / "run"
    run.mkdir()
    text = (PACKAGING / "logrotate.d" / "ovenbird").read_text()
    assert "/var/log/ovenbird/*.log {" in text
    assert " /run/ovn/*.ctl " in text
    rules, (log, old) = tmp_path / "rules", (logs / "northd.log", logs / "northd.log.1")
    for place, ours in (("/var/log/ovenbird", logs), ("/run/ovn", run), ("/run/ovenbird", tmp_path)):
        text = text.replace(place, str(ours))
    rules.write_text(text)
    rules.chmod(0o644)
    absent = [f"--ovn{which}-db=unix:{run}/{which}.sock" for which in ("nb", "sb")]
    argv = [sys.executable, "-m", "ovenbird.cli", "northd", f"--log-file={log}", f"--unixctl={run}/northd.ctl", *absent]
    daemon = subprocess.Popen([*argv, "-vconsole:off"])
    try:
        until(lambda: daemon.poll() is not None or (log.exists() and "starts" in log.read_text()))
        subprocess.run(["logrotate", "--force", f"--state={tmp_path}/state", rules], check=True)
        assert "starts" in old.read_text()
        assert "opened log file" in log.read_text()
    finally:
        daemon.terminate()
        daemon.wait()
    assert "ends" in log.read_text()
    assert "ends" not in old.read_text()
