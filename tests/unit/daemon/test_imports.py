"""What daemons do not load when they start: it would cost each of them time and memory, and nobody would notice."""

from __future__ import annotations

import subprocess
import sys

import pytest

WEB = ("ovenbird.api", "starlette", "uvicorn", "httpx", "bcrypt", "oslo_policy")
NORTHD = ("ovenbird.northd.build", "ovenbird.northd.switch", "ovenbird.northd.router", "ovenbird.northd.shared")
OPENFLOW = ("ovenbird.openflow", "ovenbird.lang.actions", "ovenbird.lang.parser")
UNUSED = {
    "api": (*OPENFLOW, *NORTHD, "ovenbird.controller", "ovenbird.lab", "httpx", "bcrypt", "oslo_policy"),
    "central": (*OPENFLOW, "ovenbird.controller", "ovenbird.lab", "httpx", "bcrypt", "oslo_policy"),
    "controller": (*WEB, *NORTHD, "ovenbird.cloud"),
    "db": (*WEB, *NORTHD, *OPENFLOW, "ovenbird.lang", "ovenbird.cloud", "ctypes"),
    "metadata": (*WEB, *NORTHD, *OPENFLOW, "ovenbird.controller", "ovenbird.cloud"),
    "northd": (*WEB, *OPENFLOW, "ovenbird.controller", "ovenbird.cloud"),
}
"""By daemon, what it has no use for, or only with options that most do without."""


@pytest.mark.parametrize("daemon", UNUSED)
def test_a_daemon_loads_nothing_that_it_has_no_use_for(daemon):
    program = f"import sys, ovenbird.daemon.{daemon}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert f"ovenbird.daemon.{daemon}" in loaded
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{each}." for each in UNUSED[daemon]))] == []
