import pytest

from support.northd.networks import Networks


@pytest.fixture
def networks():
    made = Networks()
    yield made
    assert not made.contradictions()
