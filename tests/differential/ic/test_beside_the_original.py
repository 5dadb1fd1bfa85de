"""`ovenbird ic` beside Debian's ovn-ic: the same rows from the same network, alone, together, and one after the other.

The network has what routes are told apart by: connected and static ones of both families, default routes, route tables,
sources, prefixes that are barred, and those that a router has itself.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from support.ic.deployment import MISSING, OURS, THEIRS, Deployment
from support.waiting import until

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


@pytest.fixture
def deployments():
    made = []

    def make(**schemas):
        directory = Path(tempfile.mkdtemp(prefix="ovb-"))
        made.append((directory, Deployment(directory, **schemas)))
        return made[-1][1]

    yield make
    for directory, deployment in made:
        deployment.close()
        shutil.rmtree(directory, ignore_errors=True)


def connect(deployment):
    """Make two transit switches, and in each zone a gateway and a router on the first of them.

    One after the other, since the keys that ports made at once get are left to chance.
    """
    for name in ("ts1", "ts2"):
        deployment.tool("ic-nb", "ts-add", name)
    for number, zone in enumerate(deployment.zones, 1):
        until(lambda zone=zone: "ts1" in zone.nb("ls-list") and "ts2" in zone.nb("ls-list"))
        chassis = ("set", "Chassis", f"gw{number}", "other_config:is-interconn=true", f"hostname=host{number}")
        zone.sb("chassis-add", f"gw{number}", "geneve", f"192.0.2.{number}", "--", *chassis)
        zone.sb("chassis-add", f"hv{number}", "geneve", f"192.0.2.1{number}")
        zone.nb(*router(number))
        zone.nb("set", "NB_Global", ".", "options:ic-route-adv=true", "options:ic-route-learn=true")
        until(lambda zone=zone, number=number: f"cr-lrp{number}" in zone.sb("--bare", "list", "Port_Binding"))
        zone.sb("lsp-bind", f"cr-lrp{number}", f"gw{number}")
        until(lambda number=number: f"ts1-lr{number}" in deployment.tool("ic-sb", "list", "Port_Binding"))


def router(number):
    """Return the commands that make the router of a zone."""
    name, port, outside = f"lr{number}", f"lrp{number}", f"169.254.100.{number}/24"
    hop = f"10.0.{number}.9"
    commands = [
        ("lr-add", name),
        ("lrp-add", name, port, f"aa:aa:aa:00:00:0{number}", outside, f"fd00::{number}/64"),
        ("lrp-set-gateway-chassis", port, f"gw{number}"),
        ("lrp-add", name, f"in{number}", f"aa:aa:aa:00:01:0{number}", f"10.0.{number}.1/24", f"fd0{number}::1/64"),
        ("lrp-add", name, f"link{number}", f"aa:aa:aa:00:02:0{number}", f"169.254.{number}.1/24"),
        ("lsp-add", "ts1", f"ts1-{name}"),
        ("lsp-set-type", f"ts1-{name}", "router"),
        ("lsp-set-options", f"ts1-{name}", f"router-port={port}"),
        ("lsp-set-addresses", f"ts1-{name}", "router"),
        ("lr-route-add", name, f"10.{number}.0.0/16", hop),
        ("lr-route-add", name, f"10.5.{number}.0/24", hop),
        ("lr-route-add", name, f"172.{number}.0.0/16", "discard"),
        ("lr-route-add", name, "0.0.0.0/0", f"10.0.{number}.254"),
        ("lr-route-add", name, f"2001:db8:{number}::/48", f"fd0{number}::9"),
        ("--policy=src-ip", "lr-route-add", name, f"10.9{number}.0.0/16", hop),
        ("--route-table=blue", "lr-route-add", name, f"10.8{number}.0.0/16", hop),
    ]
    if number == 2:  # both have this one: neither learns it
        commands.append(("lr-route-add", name, "10.1.0.0/16", hop))
    return [word for command in commands for word in ("--", *command)][1:]


def complete(deployment):
    """Return the rows when every part of them has come back to where it was told from."""
    rows = deployment.rows()
    bindings = rows["east-sb Port_Binding"] + rows["west-sb Port_Binding"]
    assert sum('"remote"' in row and '"<gw' in row for row in bindings) == 2
    assert len(rows["ic-sb Gateway"]) == 2
    return rows


def same(first, second):
    """Wait until two deployments have the same rows."""

    def compare():
        found = complete(first), complete(second)
        differing = {name: (rows, found[1][name]) for name, rows in found[0].items() if rows != found[1][name]}
        assert not differing, differing
        return found[0]

    return until(compare, despite=(AssertionError,))


def test_the_rows_are_the_originals(deployments):
    """Ours in both zones, the original in both, and one each; then after every change of a network.

    Ours and the original alone have databases of the installed release, and those together databases of ours.
    """
    theirs, ours, mixed = deployments(installed=True), deployments(installed=True), deployments()
    theirs.start_ic(east=THEIRS, west=THEIRS)
    ours.start_ic(east=OURS, west=OURS)
    mixed.start_ic(east=OURS, west=THEIRS)
    everywhere = (theirs, ours, mixed)
    for deployment in everywhere:
        connect(deployment)

    def agree():
        same(theirs, ours)
        return same(theirs, mixed)

    def each(zone, *arguments):
        for deployment in everywhere:
            deployment.zones[zone].nb(*arguments)
        return agree()

    rows = agree()
    assert any("10.0.2.1/24" in row for row in rows["east-nb Logical_Router_Static_Route"])
    assert not any("172.1" in row or "169.254.1." in row or "10.91" in row for row in rows["ic-sb Route"])
    setting = ("set", "NB_Global", ".")
    each(0, *setting, "options:ic-route-adv-default=true")
    each(1, "lr-route-del", "lr2", "0.0.0.0/0")
    rows = each(1, *setting, "options:ic-route-learn-default=true")
    assert any("ic-learned" in row and "0.0.0.0/0" in row for row in rows["west-nb Logical_Router_Static_Route"])
    each(0, *setting, 'options:ic-route-blacklist="10.5.0.0/16,10.0.2.0/24"')
    each(0, "lrp-set-options", "lrp1", "route_table=blue")
    rows = each(1, "lrp-set-options", "lrp2", "route_table=blue")
    assert any("10.81" in row for row in rows["west-nb Logical_Router_Static_Route"])
    each(0, *setting, "options:ic-route-learn=false")
    each(0, *setting, "options:ic-route-adv=false")
    for deployment in everywhere:
        deployment.zones[0].sb("set", "Chassis", "gw1", "hostname=moved")
    agree()
    for deployment in everywhere:
        deployment.tool("ic-nb", "ts-del", "ts2")
    agree()


@pytest.mark.parametrize(("first", "second"), [(THEIRS, OURS), (OURS, THEIRS)], ids=["ours after it", "it after ours"])
def test_an_instance_that_takes_over_writes_no_row(deployments, first, second):
    deployment = deployments()
    deployment.start_ic(east=first, west=first)
    connect(deployment)
    expected = until(lambda: complete(deployment), despite=(AssertionError,))
    settled = until(lambda: quiet(deployment, expected), despite=(AssertionError,))
    deployment.stop_ic()
    deployment.start_ic(east=second, west=second)
    # A change that goes all the way shows that each has compared everything, and its rows are the only difference.
    before = deployment.rows()
    assert before == settled
    deployment.zones[0].nb("lr-route-add", "lr1", "10.77.0.0/16", "10.0.1.9")
    until(lambda: "10.77" in deployment.zones[1].nb("lr-route-list", "lr2"))
    after = deployment.rows()
    for table, rows in settled.items():
        if table.endswith("Logical_Router"):  # whose row names the routes
            continue
        assert [row for row in after[table] if "10.77" not in row] == [row for row in rows if "10.77" not in row], table


def quiet(deployment, rows):
    """Return the rows once all routes are there."""
    now = complete(deployment)
    assert len(now["ic-sb Route"]) == len(rows["ic-sb Route"]) >= 8
    return now
