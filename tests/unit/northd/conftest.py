import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "differential" / "northd"))

from networks import Networks


@pytest.fixture
def networks():
    made = Networks()
    yield made
    assert not made.contradictions()
