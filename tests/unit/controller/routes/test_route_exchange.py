"""The exchange with a real kernel, in a network namespace of its own, beside iproute2."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from support import ROOT

MISSING = [name for name in ("unshare", "ip") if shutil.which(name) is None]

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or bool(MISSING), reason="needs root, unshare and ip")


def test_the_kernel_s_table_is_as_wanted_and_what_others_put_there_is_learned():
    program = ROOT / "tests" / "support" / "controller" / "kernel_routes.py"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(program)],
        check=False, capture_output=True, text=True, timeout=300, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["before it is settled"] == ["blackhole 10.0.0.0/8", "blackhole 10.8.0.0/16", "blackhole fd00::/64"]
    assert found["settled"] == ["blackhole 10.0.0.0/8", "blackhole fd00::/64"]
    outcomes = found["outcomes"]
    assert outcomes.pop("VRF ovnvrf77", "Operation not supported") == "Operation not supported"  # kernels without VRF
    assert outcomes == {"routing table 77": "read", "route 77 0a090000/16 1000": "File exists"}
    assert found["learned"] == [
        ["198.51.0.0/16", "192.0.2.6"], ["198.51.0.0/16", "192.0.2.7"], ["198.51.100.0/24", "192.0.2.8"],
    ]  # fmt: skip
    assert found["closed"] == found["again"] == ["blackhole fd00::/64"]
    assert (found["withdrawn"], found["outcomes at the end"]) == ([], {})
