import shutil
import tempfile
from pathlib import Path

import pytest

from support.verify import world as verify_world


@pytest.fixture(scope="module")
def world():
    if lacking := verify_world.missing():
        pytest.skip(f"needs Debian's OVN: {', '.join(lacking)}")
    directory = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = verify_world.World(directory)
    try:
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)
