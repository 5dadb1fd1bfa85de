import pytest

from support.api.neutron import Neutron


@pytest.fixture
async def neutron():
    made = Neutron()
    async with made.http:
        yield made
