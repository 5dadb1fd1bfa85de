import socket
from pathlib import Path

import pytest

from ovenbird.lab.errors import PlanError
from ovenbird.lab.plan import DEFAULT_RUNDIR, Plan, default_rundir, free_port


def test_the_default_cloud_has_short_names() -> None:
    plan = Plan.make(DEFAULT_RUNDIR, api_port=9696)
    assert plan.host_namespace("hv1") == "ob-hv1"
    assert plan.underlay == "ob-underlay"
    assert plan.encap_address("hv2") == "10.250.0.2"
    assert plan.remote("nb") == "unix:/run/ovenbird/nb.sock"
    assert plan.api == "http://127.0.0.1:9696"


def test_labs_in_other_directories_share_no_name_and_no_subnet_with_the_default() -> None:
    plans = [Plan.make(Path(path)) for path in ("/run/ovenbird", "/run/a", "/run/b")]
    assert len({plan.prefix for plan in plans}) == 3
    assert all(not other.prefix.startswith(plans[0].prefix) for other in plans[1:])
    assert plans[1].subnet != plans[0].subnet != plans[2].subnet
    assert Plan.make(Path("/run/a"), api_port=1).prefix == plans[1].prefix


def test_a_plan_survives_the_state_file() -> None:
    plan = Plan.make(Path("/run/a"), ("x", "y"), prefix="q-", api_port=1, nb_port=2, sb_port=3, cloud_port=4)
    assert Plan.from_json(plan.to_json()) == plan
    assert [plan.tcp_port(database) for database in ("nb", "sb", "cloud")] == [2, 3, 4]


def test_a_socket_of_a_hypervisor_fits_a_unix_address() -> None:
    plan = Plan.make(Path("/" + "r" * 63), ("h" * 15,))
    assert len(str(plan.host_rundir("h" * 15) / "ovs-vswitchd.4194304.ctl")) < 108
    with pytest.raises(PlanError, match="too long"):
        Plan.make(Path("/" + "r" * 64))


@pytest.mark.parametrize(
    "hosts",
    [
        (),
        ("HV",),
        ("a", "a"),
        ("h" * 16,),
        ("1",),
        ("a b",),
        ("../x",),
        ("vm-a",),
        ("underlay",),
        ("boots",),
        ("a-ovnmeta-b",),
    ],
)
def test_unusable_hosts_are_refused(hosts: tuple[str, ...]) -> None:
    with pytest.raises(PlanError):
        Plan.make(Path("/run/a"), hosts)


@pytest.mark.parametrize("name", ["", "a/b", "..", "-a", "a b", "x" * 64])
def test_unusable_instance_names_are_refused(name: str) -> None:
    with pytest.raises(PlanError):
        Plan.make(Path("/run/a")).instance_namespace(name)


def test_busy_ports_are_those_that_somebody_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = server.getsockname()[1]
        plan = Plan.make(Path("/run/a"), api_port=busy, nb_port=free_port())
        assert plan.busy_ports() == [busy]
    assert plan.busy_ports() == []


def test_the_run_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVENBIRD_RUNDIR", "/run/other")
    assert default_rundir() == Path("/run/other")
    monkeypatch.delenv("OVENBIRD_RUNDIR")
    assert default_rundir() == DEFAULT_RUNDIR


@pytest.mark.parametrize("prefix", ["", "a/b", "../", "-a", "x" * 33, "ob-hv1-ovnmeta-"])
def test_unusable_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(PlanError):
        Plan.make(Path("/run/a"), prefix=prefix)
