import pytest

from support.controller.world import World


@pytest.fixture
def world() -> World:
    return World()
