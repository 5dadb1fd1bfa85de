import shutil
import tempfile
from pathlib import Path

import pytest

from support.northd import oracle as programs


@pytest.fixture
def oracle():
    if lacking := programs.missing():
        pytest.skip(f"needs Debian's OVN: {', '.join(lacking)}")
    directory = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = programs.Oracle(directory)
    try:
        made.start()
        yield made
        assert not made.contradictions()
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)
