"""Fixtures of the live tests: labs with directories, namespaces and ports of their own, beside any running cloud."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ovenbird.lab import demo_topology, programs
from ovenbird.lab.command import run
from ovenbird.lab.errors import RequirementError
from ovenbird.lab.lab import Lab
from ovenbird.lab.requirements import check, find_program
from support.live.routed_world import HOSTS, SETTINGS, World

ORIGINALS = ("ovn-nbctl", "ovn-sbctl", "ovn-northd", "ovn-controller", "ovn-trace")


@pytest.fixture(scope="session")
def machine() -> None:
    """Skip where no lab can be built."""
    try:
        check()
    except RequirementError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def originals(machine: None) -> None:
    """Skip where OVN's own programs are missing."""
    missing = [name for name in ORIGINALS if not find_program(name)]
    if missing:
        pytest.skip(f"missing {', '.join(missing)}: apt-get install ovn-common ovn-central ovn-host")


def _short_directory(stack: ExitStack) -> Path:
    directory = tempfile.mkdtemp(prefix="ob", dir="/tmp")  # short: unix sockets' paths have a limit
    stack.callback(shutil.rmtree, directory, ignore_errors=True)
    return Path(directory)


def _lab_maker(stack: ExitStack) -> Callable[..., Lab]:
    def up(**arguments: Any) -> Lab:
        lab = Lab.up(_short_directory(stack) / "lab", **arguments)
        stack.callback(lambda: lab.state.exists and lab.down())
        return lab

    return up


@pytest.fixture
def make_lab(machine: None) -> Iterator[Callable[..., Lab]]:
    """`make_lab(**arguments of Lab.up)` starts a lab that is gone after the test."""
    with ExitStack() as stack:
        yield _lab_maker(stack)


@pytest.fixture(scope="module")
def make_module_lab(machine: None) -> Iterator[Callable[..., Lab]]:
    """Like `make_lab`, for labs that the tests of a module share."""
    with ExitStack() as stack:
        yield _lab_maker(stack)


@pytest.fixture
def rundir() -> Iterator[Path]:
    """Give a run directory that does not exist yet, with a short path."""
    with ExitStack() as stack:
        yield _short_directory(stack) / "lab"


@pytest.fixture(scope="module")
def originals_lab(originals: None, make_module_lab: Callable[..., Lab]) -> Lab:
    """A lab of OVN's own programs alone, without an API: two hypervisors that have no instances."""
    controllers = dict.fromkeys(("hv1", "hv2"), programs.ORIGINAL_CONTROLLER)
    return make_module_lab(central=programs.originals, controllers=controllers)


@pytest.fixture(scope="session")
def cloud(machine: None) -> Iterator[Lab]:
    """Give a whole cloud of ours, with the demo topology made: test1 on hv1, test2 on hv2, network `private`."""
    with ExitStack() as stack:
        lab = _lab_maker(stack)()
        demo_topology.create(lab, lambda _step: None)
        yield lab


@pytest.fixture(scope="session")
def world(machine: None) -> Iterator[World]:
    """Give the routed cloud that the routed tests share."""
    with ExitStack() as stack:
        lab = _lab_maker(stack)(hosts=HOSTS, gateways=HOSTS, settings=SETTINGS)
        yield World(lab).build()


@pytest.fixture(params=["centralised", "distributed"])
def floating(world: World, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where floating IPs are, while the test runs."""
    world.lab.configure({"distributed_floating_ip": str(request.param == "distributed").lower()})
    yield request.param
    world.lab.configure({"distributed_floating_ip": "false"})


@pytest.fixture
def nbctl(originals_lab: Lab) -> Callable[..., str]:
    """`nbctl(*arguments)` runs ovn-nbctl on the originals' Northbound."""
    return lambda *arguments: run(["ovn-nbctl", f"--db={originals_lab.layout.remote('nb')}", *arguments])


@pytest.fixture(scope="module")
def nb(lab: Lab) -> Callable[..., str]:
    """`nb(*arguments)` runs ovn-nbctl on the Northbound of the lab that the module's tests share."""
    return lambda *arguments: run(["ovn-nbctl", f"--db={lab.layout.remote('nb')}", *arguments])


@pytest.fixture(scope="module")
def sb(lab: Lab) -> Callable[..., str]:
    """`sb(*arguments)` runs ovn-sbctl on its Southbound."""
    return lambda *arguments: run(["ovn-sbctl", f"--db={lab.layout.remote('sb')}", *arguments])
