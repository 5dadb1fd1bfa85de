import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ovenbird.lab.errors import LabError, LayoutError
from ovenbird.lab.lock import locked

BUSY = LabError("busy")


def test_a_lock_is_refused_while_it_is_held(tmp_path: Path) -> None:
    place = tmp_path / "x"
    with locked(place, BUSY):
        with pytest.raises(LabError, match="busy"), locked(place, BUSY):
            pass
        assert place.is_dir()
    with locked(place, BUSY):
        pass


def test_only_an_empty_directory_that_it_made_is_removed(tmp_path: Path) -> None:
    made, used, there = tmp_path / "made", tmp_path / "used", tmp_path / "there"
    there.mkdir()
    for place in (made, used, there):
        with locked(place, BUSY):
            if place == used:
                (place / "file").touch()
    assert not made.exists()
    assert used.is_dir()
    assert there.is_dir()


def test_an_empty_directory_stays_where_it_is_needed_unless_what_needs_it_fails(tmp_path: Path) -> None:
    with locked(tmp_path / "kept", BUSY, keep=True):
        pass
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "failed", BUSY, keep=True):
        raise ZeroDivisionError
    assert [place.name for place in tmp_path.iterdir()] == ["kept"]


def test_shared_locks_exclude_exclusive_ones(tmp_path: Path) -> None:
    both = locked(tmp_path, BUSY, shared=True), locked(tmp_path, BUSY, shared=True)
    with both[0], both[1], pytest.raises(LabError, match="busy"), locked(tmp_path, BUSY):
        pass
    with locked(tmp_path, BUSY), pytest.raises(LabError, match="busy"), locked(tmp_path, BUSY, shared=True):
        pass


def test_a_waiting_process_gets_the_lock_even_if_the_directory_was_deleted(tmp_path: Path) -> None:
    place = tmp_path / "x"
    with ThreadPoolExecutor(1) as pool:
        with locked(place, BUSY):
            waiting = pool.submit(_hold, place)
            assert not waiting.done()
            (place / "file").touch()
            shutil.rmtree(place)
        assert waiting.result() is True
    assert not place.exists()


def _hold(place: Path) -> bool:
    with locked(place, BUSY, wait=60):
        return place.is_dir()


@pytest.mark.parametrize("name", ["file", "file/x"])
def test_a_lock_on_a_path_that_cannot_be_a_directory_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LayoutError, match="there can be no directory"), locked(tmp_path / name, BUSY):
        pass
