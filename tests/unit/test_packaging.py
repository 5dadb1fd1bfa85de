"""The systemd units that are shipped: in order, and as confined as they say."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGING = Path(__file__).parents[2] / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))
pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")


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


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_units_are_confined(unit):
    most = 75 if unit.stem == "ovenbird-metadata" else 25  # tenths of systemd's ten
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:]
