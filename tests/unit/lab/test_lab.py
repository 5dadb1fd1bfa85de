"""Commands on one cloud at the same time; what they do to a machine is left out (see tests/live/test_lab.py)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import pytest

from ovenbird.lab import lab as module
from ovenbird.lab.errors import AlreadyRunningError, DuplicateInstanceError, LabError, NotRunningError
from ovenbird.lab.lab import Lab
from ovenbird.lab.layout import Layout
from ovenbird.lab.namespace import Namespace
from ovenbird.lab.state import Kind
from support.places import short_directory


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Record a lab, whose hosts are made by doing nothing."""
    for name in ("_start_host", "_join", "_settle"):
        monkeypatch.setattr(Lab, name, lambda *_: None)
    monkeypatch.setattr(module, "check", lambda: None)
    monkeypatch.setattr(Namespace, "remove", lambda _: None)
    lab = Lab(Layout.make(tmp_path_factory.mktemp("x")))
    lab.state.add(Kind.LAYOUT, "lab", lab.layout.to_json())
    return lab


def test_hosts_that_are_added_at_once_are_all_there(lab: Lab) -> None:
    names = [f"hv{number}" for number in range(10, 18)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: Lab.open(lab.layout.rundir).add_host(name), names))
    hosts = Lab.open(lab.layout.rundir).layout.hosts
    assert sorted(hosts[2:]) == names
    assert not (lab.layout.rundir / "hosts").exists()


def test_a_host_that_is_not_added_is_forgotten(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        assert Lab.open(lab.layout.rundir).layout.hosts == ("hv1", "hv2", "hv9")
        raise LabError("no tunnel")

    monkeypatch.setattr(Lab, "_join", fail)
    monkeypatch.setattr(Lab, "drop", lambda *_: None)
    with pytest.raises(LabError, match="no tunnel"):
        lab.add_host("hv9")
    assert Lab.open(lab.layout.rundir).layout == lab.layout
    assert lab.layout.hosts == ("hv1", "hv2")


def test_a_second_instance_of_the_same_name_is_refused(lab: Lab) -> None:
    with lab._reserved("a"):
        with lab._reserved("b"):
            pass
        with pytest.raises(DuplicateInstanceError, match=r"^an instance named a exists"), lab._reserved("a"):
            pass


@pytest.mark.parametrize("doing", [lambda lab: lab._reserved("a"), Lab._alone])
def test_a_cloud_is_not_removed_while_another_command_changes_it(
    lab: Lab, doing: Callable[[Lab], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    with doing(lab):
        for command in (lab.down, lambda: Lab.up(lab.layout.rundir)):
            with pytest.raises(
                AlreadyRunningError, match=r"^the cloud in \S+ is being started, changed or removed; try"
            ):
                command()
    assert lab.state.exists
    assert lab.down() == []
    assert not lab.layout.rundir.exists()
    with pytest.raises(NotRunningError), lab._reserved("a"):
        pass
    with pytest.raises(NotRunningError):
        lab.add_host("hv9")
    with pytest.raises(NotRunningError):
        lab.state.add(Kind.NAMESPACE, "x")
    assert not lab.layout.rundir.exists()


def test_a_run_directory_with_other_files_is_left(lab: Lab) -> None:
    with short_directory() as theirs:
        (theirs / "file").touch()
        with pytest.raises(LabError, match="has files that no lab made"):
            Lab.up(theirs)
        assert [path.name for path in theirs.iterdir()] == ["file"]
