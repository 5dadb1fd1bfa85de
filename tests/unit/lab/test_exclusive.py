from pathlib import Path

import pytest

from ovenbird.lab.errors import LabError
from ovenbird.lab.exclusive import exclusively

BUSY = LabError("busy")


def test_the_second_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    place = tmp_path / "x"
    with exclusively(place, BUSY):
        with pytest.raises(LabError, match="busy"), exclusively(place, BUSY):
            pass
        assert place.is_dir()
    with exclusively(place, BUSY):
        pass


def test_only_an_empty_directory_that_it_made_is_removed(tmp_path: Path) -> None:
    made, used, there = tmp_path / "made", tmp_path / "used", tmp_path / "there"
    there.mkdir()
    for place in (made, used, there):
        with exclusively(place, BUSY):
            if place == used:
                (place / "file").touch()
    assert not made.exists()
    assert used.is_dir()
    assert there.is_dir()
