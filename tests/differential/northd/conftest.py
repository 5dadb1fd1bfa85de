import shutil
import tempfile
from pathlib import Path

import pytest

from support.northd import newer_oracle
from support.northd import oracle as programs


@pytest.fixture
def oracle():
    yield from started(programs.Oracle, beside_theirs=True)


@pytest.fixture
def newer():
    """Our compiler's Southbound, and beside it that of a newer ovn-northd, if there is one."""
    beside = newer_oracle.DIRECTORY is not None
    for made in started(newer_oracle.NewerOracle if beside else programs.Oracle, beside_theirs=beside):
        made.everyone = ("ours", "theirs") if beside else ("ours",)
        yield made


def started(kind, *, beside_theirs):
    if lacking := programs.missing():
        pytest.skip(f"needs Debian's OVN: {', '.join(lacking)}")
    directory = Path(tempfile.mkdtemp(prefix="ovb-"))
    made = kind(directory)
    try:
        made.start(beside_theirs=beside_theirs)
        yield made
        assert not made.contradictions()
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)
