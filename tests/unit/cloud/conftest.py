import pytest

from ovenbird.cloud import subnet
from support.cloud.world import World


@pytest.fixture(autouse=True)
def resolvers(tmp_path, monkeypatch):
    """The file of name servers that this host asks, which is not there unless a test writes it."""
    path = tmp_path / "resolv.conf"
    monkeypatch.setattr(subnet, "RESOLVERS", path)
    return path


@pytest.fixture
def world():
    return World()
