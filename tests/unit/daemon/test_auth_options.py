"""How people log in, as the daemons' options say, and what a daemon without passwords does not load."""

from __future__ import annotations

import subprocess
import sys

import bcrypt
import pytest

from ovenbird.api.access.auth import Open
from ovenbird.api.access.basic import Basic
from ovenbird.api.access.keystone import Keystone
from ovenbird.daemon import auth_options
from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import parse


def options(*argv):
    return parse(argv, auth_options.OPTIONS)


@pytest.fixture
def passwords(tmp_path):
    file = tmp_path / "htpasswd"
    file.write_text(f"alice:{bcrypt.hashpw(b'x', bcrypt.gensalt(4)).decode()}\n")
    return file


async def test_authentication_is_off_by_default(tmp_path):
    for given in (options(), options("--auth=none")):
        who = auth_options.authenticator(given)
        assert isinstance(who, Open)
        assert auth_options.policy(given, who) is None


async def test_basic(passwords):
    given = options(f"--auth=basic:{passwords}", "--admin=alice", "--admin=bob")
    who = auth_options.authenticator(given)
    assert isinstance(who, Basic)
    assert who.admins == {"alice", "bob"}
    assert auth_options.policy(given, who) is not None
    await who.close()


async def test_keystone(tmp_path):
    file = tmp_path / "neutron.conf"
    file.write_text("[keystone_authtoken]\nauth_url = http://127.0.0.1:5000\nusername = neutron\npassword = x\n")
    who = auth_options.authenticator(options(f"--auth=keystone:{file}"))
    assert isinstance(who, Keystone)
    await who.close()


@pytest.mark.parametrize("how", ["", "basic", "basic:", "none:x", "keystone", "Basic:x", "magic:y"])
def test_unknown_ways_of_authentication_are_refused(how):
    with pytest.raises(UsageError, match="none, basic:FILE or keystone:FILE"):
        auth_options.authenticator(options(f"--auth={how}"))


async def test_a_policy_needs_callers_who_differ(tmp_path, passwords):
    file = tmp_path / "policy.yaml"
    file.write_text("create_network: rule:none\n")
    with pytest.raises(UsageError, match="without them callers are not authenticated"):
        auth_options.policy(options(f"--policy-file={file}"), Open())
    given = options(f"--auth=basic:{passwords}", f"--policy-file={file}")
    who = auth_options.authenticator(given)
    with pytest.raises(UsageError, match="there is no rule none"):
        auth_options.policy(given, who)
    await who.close()


@pytest.mark.parametrize("module", ["oslo_policy", "bcrypt"])
def test_a_daemon_without_authentication_does_not_load_its_modules(module):
    code = f"import sys, ovenbird.daemon.central; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
