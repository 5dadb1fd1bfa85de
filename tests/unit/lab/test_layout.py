import socket
from pathlib import Path

import pytest

from ovenbird.lab.errors import LayoutError
from ovenbird.lab.layout import DEFAULT_RUNDIR, Layout, default_rundir, free_port


def test_the_default_cloud_has_short_names() -> None:
    layout = Layout.make(DEFAULT_RUNDIR, api_port=9696)
    assert layout.host_namespace("hv1") == "ob-hv1"
    assert layout.underlay == "ob-underlay"
    assert layout.encap_address("hv2") == "10.250.0.2"
    assert layout.remote("nb") == "unix:/run/ovenbird/nb.sock"
    assert layout.api == "http://127.0.0.1:9696"


def test_labs_in_other_directories_share_no_name_and_no_subnet_with_the_default() -> None:
    layouts = [Layout.make(Path(path)) for path in ("/run/ovenbird", "/run/a", "/run/b")]
    assert len({layout.prefix for layout in layouts}) == 3
    assert all(not other.prefix.startswith(layouts[0].prefix) for other in layouts[1:])
    assert layouts[1].subnet != layouts[0].subnet != layouts[2].subnet
    assert Layout.make(Path("/run/a"), api_port=1).prefix == layouts[1].prefix


def test_a_plan_survives_the_state_file() -> None:
    layout = Layout.make(Path("/run/a"), ("x", "y"), prefix="q-", api_port=1, nb_port=2, sb_port=3, cloud_port=4)
    assert Layout.from_json(layout.to_json()) == layout
    assert [layout.tcp_port(database) for database in ("nb", "sb", "cloud")] == [2, 3, 4]


def test_a_socket_of_a_hypervisor_fits_a_unix_address() -> None:
    layout = Layout.make(Path("/" + "r" * 63), ("h" * 15,))
    assert len(str(layout.host_rundir("h" * 15) / "ovs-vswitchd.4194304.ctl")) < 108
    with pytest.raises(LayoutError, match="too long"):
        Layout.make(Path("/" + "r" * 64))


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
    with pytest.raises(LayoutError):
        Layout.make(Path("/run/a"), hosts)


@pytest.mark.parametrize("name", ["", "a/b", "..", "-a", "a b", "x" * 64])
def test_unusable_instance_names_are_refused(name: str) -> None:
    with pytest.raises(LayoutError):
        Layout.make(Path("/run/a")).instance_namespace(name)


def test_busy_ports_are_those_with_a_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = server.getsockname()[1]
        layout = Layout.make(Path("/run/a"), api_port=busy, nb_port=free_port())
        assert layout.busy_ports() == [busy]
    assert layout.busy_ports() == []


def test_the_run_directory_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVENBIRD_RUNDIR", "/run/other")
    assert default_rundir() == Path("/run/other")
    monkeypatch.delenv("OVENBIRD_RUNDIR")
    assert default_rundir() == DEFAULT_RUNDIR


@pytest.mark.parametrize("prefix", ["", "a/b", "../", "-a", "x" * 33, "ob-hv1-ovnmeta-"])
def test_unusable_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(LayoutError):
        Layout.make(Path("/run/a"), prefix=prefix)
