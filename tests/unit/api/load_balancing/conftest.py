import pytest

from support.api.balancing import Balancing


@pytest.fixture
async def world():
    made = Balancing()
    async with made.http:
        await made.site()
        yield made
