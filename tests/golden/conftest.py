import shutil
import tempfile
from pathlib import Path

import pytest

from support.northd import oracle as programs


@pytest.fixture
def servers():
    if lacking := programs.missing():
        pytest.skip(f"needs Debian's OVN: {', '.join(lacking)}")
    directory = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = programs.Oracle(directory)
    try:
        made.start(beside_theirs=False)
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)
