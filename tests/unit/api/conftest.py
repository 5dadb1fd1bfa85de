import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from neutron import Neutron


@pytest.fixture
async def neutron():
    made = Neutron()
    async with made.http:
        yield made
