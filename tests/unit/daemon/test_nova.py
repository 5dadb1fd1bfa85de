"""Who is to be told of ports, as the command line says it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ovenbird.daemon import api, central, nova, options
from ovenbird.daemon.errors import UsageError


def telling(*argv):
    return nova.telling(SimpleNamespace(options=options.parse(argv, api.OPTIONS)), None, northbound=None)


def test_nova_is_notified_only_if_its_address_is_given():
    assert telling() == []
    [notifier] = telling("--nova-url=http://nova:8774/v2.1/")
    assert notifier.url == "http://nova:8774/v2.1/os-server-external-events"
    assert notifier.tokens is None


def test_an_account_is_a_section_of_its_own(tmp_path):
    file = tmp_path / "nova.conf"
    file.write_text("[nova]\nauth_url = http://keystone:5000\nusername = ovenbird\npassword = secret\n")
    [notifier] = telling("--nova-url=https://nova/v2.1", f"--nova-account={file}")
    assert notifier.tokens.account.username == "ovenbird"


@pytest.mark.parametrize(
    "argv",
    [["--nova-url=nova:8774"], ["--nova-account=/x"], ["--nova-url=http://n", "--nova-account=/nowhere/nova.conf"]],
)
def test_invalid_options_of_nova_are_refused(argv):
    with pytest.raises(UsageError):
        telling(*argv)


def test_both_daemons_take_the_options():
    assert nova.OPTIONS.items() <= api.OPTIONS.items()
    assert nova.OPTIONS.items() <= central.OPTIONS.items()
