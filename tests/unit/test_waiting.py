"""The helper that every test waits with: it looks until there is something, and says what there was at the end."""

import pytest

from support.places import free_port, short_directory
from support.waiting import until, until_async


def test_the_first_true_value_is_returned():
    looks = iter([0, None, "", "there", "later"])
    assert until(lambda: next(looks)) == "there"


def test_what_an_assertion_says_is_not_so_yet():
    looks = iter([1, 2, 3])

    def third():
        assert next(looks) == 3
        return True

    assert until(third)


def test_a_limit_is_reported_with_what_there_was():
    with pytest.raises(AssertionError, match=r"not within 0\.01 s; at the end: it is nothing"):
        until(lambda: said("nothing"), 0.01)
    with pytest.raises(AssertionError, match=r"not within 0\.01 s; at the end: \[\]"):
        until(list, 0.01)


def said(what):
    assert what == "something", f"it is {what}"


def test_other_exceptions_are_failures_unless_they_are_expected(tmp_path):
    with pytest.raises(FileNotFoundError):
        until((tmp_path / "pid").read_text)
    with pytest.raises(AssertionError, match="No such file"):
        until((tmp_path / "pid").read_text, 0.01, despite=(FileNotFoundError,))


async def test_the_event_loop_runs_meanwhile():
    looks = iter([False, True])

    async def second():
        return next(looks)

    assert await until_async(second)
    assert await until_async(lambda: "plain") == "plain"
    with pytest.raises(AssertionError, match="at the end: 0"):
        await until_async(lambda: 0, 0.01)


def test_places_are_for_one_alone():
    with short_directory() as one, short_directory() as other:
        assert one != other
        assert not [*one.iterdir()]
    assert not one.exists()
    assert free_port() != free_port()
