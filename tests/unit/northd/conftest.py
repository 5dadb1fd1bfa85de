import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from networks import Networks


@pytest.fixture
def networks():
    return Networks()
