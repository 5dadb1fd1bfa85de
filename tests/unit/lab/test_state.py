from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ovenbird.lab.errors import NotRunningError, StateError
from ovenbird.lab.state import FILE_NAME, Kind, State


def test_records_exist_until_they_are_removed(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert not state.exists
    state.add(Kind.NAMESPACE, "a")
    state.add(Kind.NAMESPACE, "b", {"x": 1})
    state.add(Kind.PROCESS, "a", {"y": 2})
    assert state.things(Kind.NAMESPACE) == {"a": {}, "b": {"x": 1}}
    assert State(tmp_path).things(Kind.PROCESS) == {"a": {"y": 2}}
    state.remove(Kind.NAMESPACE, "a")
    state.remove(Kind.NAMESPACE, "never made")
    assert state.things(Kind.NAMESPACE) == {"b": {"x": 1}}
    state.add(Kind.NAMESPACE, "b", {"x": 3})
    assert state.things(Kind.NAMESPACE) == {"b": {"x": 3}}


def test_a_torn_last_line_is_no_record_and_the_next_one_replaces_it(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.add(Kind.NAMESPACE, "a")
    with (tmp_path / FILE_NAME).open("ab") as file:
        file.write(b'["+", "namespace", "to')
    assert state.things(Kind.NAMESPACE) == {"a": {}}
    state.add(Kind.NAMESPACE, "b")
    assert state.things(Kind.NAMESPACE) == {"a": {}, "b": {}}


@pytest.mark.parametrize("line", ["{}", "[1]", '["+", "namespace"]', "nonsense"])
def test_a_line_that_no_lab_wrote_is_an_error(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE_NAME).write_text(line + "\n")
    with pytest.raises(StateError):
        State(tmp_path).things(Kind.NAMESPACE)


def test_no_file_means_no_lab(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError):
        State(tmp_path / "nowhere").things(Kind.LAYOUT)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: State(tmp_path).add(Kind.NAMESPACE, str(n)), range(200)))
    assert set(State(tmp_path).things(Kind.NAMESPACE)) == {str(n) for n in range(200)}
