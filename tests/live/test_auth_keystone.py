"""Real Keystone, real tokens, the real ``openstack`` client; skipped where Keystone is not installed.

Keystone may be in another environment than the tests: OVENBIRD_KEYSTONE_PYTHON names that one's Python.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from ovenbird.api.access.keystone import Keystone, account
from ovenbird.api.access.policy import Policy
from ovenbird.api.http.catalogue import RULES
from ovenbird.api.http.service import ApiService
from ovenbird.model import cloud
from ovenbird.ovsdb.database import Database
from ovenbird.ovsdb.server import Server
from support import SUPPORT

SERVER = SUPPORT / "live" / "keystone_server.py"
PASSWORD = "correct horse"


def find_python():
    python = os.environ.get("OVENBIRD_KEYSTONE_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import keystone"], capture_output=True, check=False)
    return python if found.returncode == 0 else None


def find_client():
    beside = Path(sys.executable).parent / "openstack"
    return str(beside) if beside.exists() else shutil.which("openstack")


class Identity:
    """A Keystone of our own, with SQLite and Fernet tokens."""

    def __init__(self, python, home):
        self.home = home
        conf = home / "keystone.conf"
        conf.write_text(
            f"[DEFAULT]\nlog_file = {home}/keystone.log\n[database]\nconnection = sqlite:///{home}/keystone.db\n"
            f"[token]\nprovider = fernet\n[fernet_tokens]\nkey_repository = {home}/fernet\n"
            "[cache]\nenabled = false\n"
        )
        (home / "fernet").mkdir()
        self.python = python
        self.env = {"PATH": os.environ["PATH"], "OS_KEYSTONE_CONFIG_FILES": str(conf), "PYTHONWARNINGS": "ignore",
                    "HOME": str(home), "KEYSTONE_PORT": "0"}  # fmt: skip
        self.manage("db_sync")
        self.manage("fernet_setup", "--keystone-user", "root", "--keystone-group", "root")
        self.manage("bootstrap", "--bootstrap-password", PASSWORD)
        self.start()
        self.admin = self.token("admin", "admin")

    def manage(self, *arguments):
        program = Path(self.python).with_name("keystone-manage")
        config = ("--config-file", str(self.home / "keystone.conf"))
        done = subprocess.run([program, *config, *arguments], env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def start(self):
        with (self.home / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(
                [self.python, SERVER], env=self.env, stdout=subprocess.PIPE, stderr=stderr, text=True
            )
        port = self.process.stdout.readline().strip()
        assert port, (self.home / "stderr").read_text()
        self.env["KEYSTONE_PORT"] = port  # the same when it starts again
        self.url = f"http://127.0.0.1:{port}/v3"

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def token(self, user, project):
        scope = {"project": {"name": project, "domain": {"name": "Default"}}}
        named = {"name": user, "password": PASSWORD, "domain": {"name": "Default"}}
        identity = {"methods": ["password"], "password": {"user": named}}
        answer = httpx.post(f"{self.url}/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        assert answer.status_code == 201, answer.text
        return answer.headers["x-subject-token"]

    def revoke(self, token):
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        assert httpx.delete(f"{self.url}/auth/tokens", headers=headers).status_code == 204

    def ask(self, method, path, body=None):
        answer = httpx.request(method, f"{self.url}/{path}", json=body, headers={"X-Auth-Token": self.admin})
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def offer(self, kind, url):
        """Put a service into the catalogue; return its id."""
        service = self.ask("POST", "services", {"service": {"type": kind, "name": kind}})["service"]
        self.ask("POST", "endpoints", {"endpoint": {"service_id": service["id"], "interface": "public", "url": url}})
        return service["id"]

    def user(self, name, project, role):
        """Make a user with a role in a project, which is made if need be."""
        projects = self.ask("GET", f"projects?name={project}")["projects"]
        made = projects[0] if projects else self.ask("POST", "projects", {"project": {"name": project}})["project"]
        user = {"name": name, "password": PASSWORD, "domain_id": "default"}
        user = self.ask("POST", "users", {"user": user})["user"]
        found = self.ask("GET", f"roles?name={role}")["roles"][0]
        self.ask("PUT", f"projects/{made['id']}/users/{user['id']}/roles/{found['id']}")
        return made["id"]


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    python = find_python()
    if python is None:
        pytest.skip("Keystone is not installed (OVENBIRD_KEYSTONE_PYTHON)")
    made = Identity(python, tmp_path_factory.mktemp("keystone"))
    try:
        made.offer("identity", made.url)
        made.user("neutron", "service", "service")
        made.red = made.user("alice", "red", "member")
        made.user("rita", "red", "reader")
        made.user("bob", "blue", "member")
        yield made
    finally:
        made.stop()


class Api:
    """The API in this process, asked with tokens, or by the client that people type."""

    def __init__(self, identity):
        self.identity = identity
        self.server = Server()
        database = self.server.add(Database(cloud.schema(), cloud.ROWS))
        conf = identity.home / "neutron.conf"
        conf.write_text(
            f"[keystone_authtoken]\nauth_url = {identity.url}\nauth_type = password\nusername = neutron\n"
            f"password = {PASSWORD}\nproject_name = service\nuser_domain_name = Default\n"
            "project_domain_name = Default\n"
        )
        self.keystone = Keystone(account(conf))
        self.service = ApiService(database, port=0, authenticator=self.keystone, policy=Policy(RULES))

    async def start(self):
        await self.service.start()
        self.catalogued = self.identity.offer("network", self.service.url)

    async def stop(self):
        await self.service.stop()
        self.identity.ask("DELETE", f"services/{self.catalogued}")

    async def ask(self, method, path, body=None, **headers):
        async with httpx.AsyncClient() as http:
            return await http.request(method, f"{self.service.url}/v2.0/{path}", json=body, headers=headers)

    async def run(self, user, project, command):
        """Return (exit status, standard output, standard error) of a command of the client."""
        process = await asyncio.create_subprocess_exec(
            find_client(), *command.split(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.identity.home), "PYTHONWARNINGS": "ignore",
                 "OS_AUTH_URL": self.identity.url, "OS_USERNAME": user, "OS_PROJECT_NAME": project,
                 "OS_PASSWORD": PASSWORD, "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
                 "OS_IDENTITY_API_VERSION": "3"},
        )  # fmt: skip
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def json(self, user, project, command):
        status, out, err = await self.run(user, project, f"{command} -f json")
        assert status == 0, (command, err)
        return json.loads(out)


@pytest.fixture
async def api(identity):
    made = Api(identity)
    await made.start()
    yield made
    await made.stop()


async def test_users_see_and_change_what_their_roles_permit(api):
    if find_client() is None:
        pytest.skip("python-openstackclient is not installed")
    network = await api.json("alice", "red", "network create private")
    assert network["project_id"] == api.identity.red
    assert network["provider:network_type"] is None
    assert [n["Name"] for n in await api.json("rita", "red", "network list")] == ["private"]
    assert await api.json("bob", "blue", "network list") == []
    status, _, err = await api.run("bob", "blue", f"network show {network['id']}")
    assert (status, "No Network found" in err) == (1, True), err
    status, _, err = await api.run("alice", "red", "network create --share open")
    assert (status, "disallowed by policy" in err) == (1, True), err
    status, _, err = await api.run("rita", "red", "network delete private")
    assert (status, "disallowed by policy" in err) == (1, True), err
    assert (await api.json("admin", "admin", "network show private"))["provider:network_type"] == "geneve"


async def test_quotas_by_the_client(api):
    if find_client() is None:
        pytest.skip("python-openstackclient is not installed")

    async def limits():
        shown = await api.json("admin", "admin", "quota show --network blue")
        return {quota["Resource"]: quota["Limit"] for quota in shown}

    before = await limits()
    assert (before["networks"], before["ports"], before["security_groups"]) == (100, 500, 10)
    status, _, err = await api.run("admin", "admin", "quota set --networks 1 --secgroups 20 blue")
    assert status == 0, err
    assert await limits() == before | {"networks": 1, "security_groups": 20}
    listed = await api.json("admin", "admin", "quota list --network")
    assert [(quota["Networks"], quota["Ports"]) for quota in listed] == [(1, 500)]
    await api.json("bob", "blue", "network create one")
    status, _, err = await api.run("bob", "blue", "network create two")
    assert (status, "Quota exceeded for resources: ['network']" in err) == (1, True), err
    used = await api.json("admin", "admin", "quota show --network --usage blue")
    assert {quota["Resource"]: quota["In Use"] for quota in used}["networks"] == 1


async def test_the_clients_clean_up_removes_what_a_project_has(api):
    if find_client() is None:
        pytest.skip("python-openstackclient is not installed")
    lines = (
        "network create private",
        "subnet create inside --network private --subnet-range 10.0.0.0/24",
        "router create edge",
        "router add subnet edge inside",
        "security group create web",
        "security group rule create web --protocol tcp --dst-port 80",
        "port create --network private web0",  # not in the group, which the client deletes before ports
    )
    for line in lines:
        await api.json("alice", "red", line) if "add" not in line else await api.run("alice", "red", line)
    await api.json("bob", "blue", "network create theirs")
    status, _, err = await api.run("alice", "red", "project cleanup --auth-project --auto-approve")
    assert status == 0, err
    for kind in ("network", "subnet", "router", "port"):
        assert await api.json("alice", "red", f"{kind} list") == [], kind
    assert [group["Name"] for group in await api.json("alice", "red", "security group list")] == ["default"]
    assert [network["Name"] for network in await api.json("bob", "blue", "network list")] == ["theirs"]


async def test_a_token_counts_until_it_is_revoked_and_forgotten(api):
    token = api.identity.token("alice", "red")
    answer = await api.ask("GET", "networks", **{"X-Auth-Token": token})
    assert (answer.status_code, answer.json()) == (200, {"networks": []})
    api.identity.revoke(token)
    assert (await api.ask("GET", "networks", **{"X-Auth-Token": token})).status_code == 200  # remembered
    api.keystone._remembered.clear()
    answer = await api.ask("GET", "networks", **{"X-Auth-Token": token})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Keystone uri="{api.identity.url}"'
    assert (await api.ask("GET", "networks")).status_code == 401
    assert (await api.ask("GET", "networks", **{"X-Auth-Token": "made-up"})).status_code == 401


async def test_the_services_own_token_is_renewed(api):
    assert (await api.ask("GET", "networks", **{"X-Auth-Token": api.identity.token("bob", "blue")})).status_code == 200
    own = api.keystone._own
    api.identity.revoke(own)
    assert (await api.ask("GET", "networks", **{"X-Auth-Token": api.identity.token("bob", "blue")})).status_code == 200
    assert api.keystone._own != own


async def test_callers_with_cached_tokens_are_answered_without_keystone(api):
    known, unknown = api.identity.token("alice", "red"), api.identity.token("bob", "blue")
    assert (await api.ask("GET", "networks", **{"X-Auth-Token": known})).status_code == 200
    api.identity.stop()
    try:
        assert (await api.ask("GET", "networks", **{"X-Auth-Token": known})).status_code == 200
        assert (await api.ask("GET", "networks", **{"X-Auth-Token": unknown})).status_code == 503
    finally:
        api.identity.start()
    assert (await api.ask("GET", "networks", **{"X-Auth-Token": unknown})).status_code == 200
