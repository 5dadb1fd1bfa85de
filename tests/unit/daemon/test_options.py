from __future__ import annotations

import pytest

from ovenbird.daemon.errors import UsageError
from ovenbird.daemon.options import flag, parse, value

OWN = {"ovnnb-db": value("REMOTE", text=""), "dry-run": flag(""), "remote": value("REMOTE", text="")}


def test_the_originals_command_lines():
    options = parse(
        ["--ovnnb-db=unix:nb.sock", "--remote", "punix:a", "--remote=ptcp:6641", "--pidfile", "--log-file=x.log",
         "-vconsole:off", "-v", "-p", "key.pem", "--detach", "-n", "conf.db", "--", "--odd"],
        OWN,
        {"-n": "dry-run"},
    )  # fmt: skip
    assert options.last("ovnnb-db") == "unix:nb.sock"
    assert options.all("remote") == ("punix:a", "ptcp:6641")
    assert options.has("pidfile")
    assert options.last("pidfile") is None
    assert options.last("log-file") == "x.log"
    assert options.given["verbose"] == ("console:off", None)
    assert options.last("private-key") == "key.pem"
    assert options.has("detach")
    assert options.has("dry-run")
    assert options.arguments == ("conf.db", "--odd")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--nonsense"], "unknown option --nonsense"),
        (["-Z"], "unknown option -Z"),
        (["--detach=yes"], "option --detach takes no value"),
        (["--ovnnb-db"], "option --ovnnb-db needs a value"),
    ],
)
def test_bad_command_lines_are_named(argv, message):
    with pytest.raises(UsageError, match=message):
        parse(argv, OWN)
