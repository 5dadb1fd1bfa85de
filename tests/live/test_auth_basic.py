"""``ovenbird central`` with passwords, over TLS, and the ``openstack`` client with ``--os-auth-type http_basic``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import bcrypt
import httpx
import pytest

from support.places import free_port
from support.waiting import until

BIN = Path(sys.executable).parent
PASSWORD = "correct-horse"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONWARNINGS": "ignore"}


def find_client():
    return str(BIN / "openstack") if (BIN / "openstack").exists() else shutil.which("openstack")


class Central:
    """A daemon of our own, and the client that people type."""

    def __init__(self, home, *options):
        self.home = home
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (home / "htpasswd").write_text("".join(f"{user}:{hashed}\n" for user in ("admin", "alice", "bob")))
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", home / "key.pem",
             "-out", home / "certificate.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
        self.command = [
            str(BIN / "ovenbird"), "central", f"--rundir={home}", f"--api-port={port}", "--nb-port=0", "--sb-port=0",
            "--cloud-port=0", f"--unixctl={home}/ctl", f"--api-private-key={home}/key.pem",
            f"--api-certificate={home}/certificate.pem", *options,
        ]  # fmt: skip

    def start(self):
        with (self.home / "log").open("w") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

        def answers():
            if self.process.poll() is not None:
                pytest.fail((self.home / "log").read_text())
            return httpx.get(self.url, verify=False)

        until(answers, despite=(httpx.TransportError,))

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0

    def run(self, user, command, password=PASSWORD):
        return subprocess.run(
            [find_client(), "--os-auth-type", "http_basic", "--os-username", user, "--os-password", password,
             "--os-endpoint", self.url, *command.split()],
            env={**ENVIRONMENT, "HOME": str(self.home), "OS_CACERT": f"{self.home}/certificate.pem"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def json(self, user, command):
        done = self.run(user, f"{command} -f json")
        assert done.returncode == 0, (command, done.stderr)
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def central():
    if find_client() is None:
        pytest.skip("python-openstackclient is not installed")
    home = Path(tempfile.mkdtemp(prefix="oba", dir="/tmp"))
    made = Central(home, f"--auth=basic:{home}/htpasswd")
    made.start()
    yield made
    made.stop()
    shutil.rmtree(home)


def test_users_with_passwords_are_identified(central):
    network = central.json("alice", "network create private")
    assert network["project_id"] == "alice"
    assert central.json("bob", "network list") == []
    assert [n["Name"] for n in central.json("admin", "network list")] == ["private"]
    refused = central.run("alice", "network list", password="wrong")
    assert refused.returncode == 1
    assert "401" in refused.stderr
    refused = central.run("bob", "network create --external out")
    assert "disallowed by policy" in refused.stderr


SDK = """
import sys, openstack
url, user, password = sys.argv[1:4]
auth = {"username": user, "password": password, "endpoint": url}
cloud = openstack.connect(auth_type="http_basic", auth=auth, network_endpoint_override=url, verify=sys.argv[4]).network
before = cloud.get_quota("bob")
assert (before.networks, before.ports, before.routers) == (100, 500, 10), before
cloud.update_quota("bob", networks=1, ports=7)
after = cloud.get_quota("bob")
assert (after.networks, after.ports, after.routers) == (1, 7, 10), after
assert cloud.get_quota_default("bob").networks == 100
assert [quota.project_id for quota in cloud.quotas()] == ["bob"]
assert cloud.get_quota("bob", details=True).networks == {"limit": 1, "used": 0, "reserved": 0}
"""


def test_quotas_by_the_sdk(central):
    """By the SDK, since ``openstack quota`` looks projects up in Keystone; ``test_auth_keystone`` runs it."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SDK, central.url, "admin", PASSWORD, f"{central.home}/certificate.pem"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    central.json("bob", "network create one")
    refused = central.run("bob", "network create two")
    assert "Quota exceeded for resources: ['network']" in refused.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--auth=basic:/nowhere",), "No such file"),
        (("--auth=magic",), "none, basic:FILE or keystone:FILE is needed"),
        (("--auth=keystone:/nowhere",), "No such file"),
        (("--host=0.0.0.0",), "listens on a loopback address only"),
        (("--policy-file=/nowhere",), "--policy-file needs --auth"),
        (("--auth=basic:HOME/htpasswd", "--policy-file=/nowhere"), "No such file"),
    ],
)
def test_invalid_options_are_reported_at_start(tmp_path, options, message):
    made = Central(tmp_path, *(option.replace("HOME", str(tmp_path)) for option in options))
    done = subprocess.run(made.command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert message in done.stderr
