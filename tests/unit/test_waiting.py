"""The helper that every test waits with: it looks until there is something, and says what there was at the end."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.places import free_port, short_directory
from support.waiting import until, until_async


def test_the_first_true_value_is_returned():
    looks = iter([0, None, "", "there", "later"])
    assert until(lambda: next(looks)) == "there"


def test_a_failed_assertion_is_waited_for():
    looks = iter([1, 2, 3])

    def third():
        assert next(looks) == 3
        return True

    assert until(third)


def test_a_timeout_is_reported_with_the_last_value():
    with pytest.raises(AssertionError, match=r"not within 0\.01 s; at the end: it is nothing"):
        until(lambda: said("nothing"), 0.01)
    with pytest.raises(AssertionError, match=r"not within 0\.01 s; at the end: \[\]"):
        until(list, 0.01)
    with pytest.raises(AssertionError, match=r"^br-int on hv1: not within 0\.01 s; at the end: \[\]"):
        until(list, 0.01, what="br-int on hv1")


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


def test_directories_and_ports_for_tests_are_distinct():
    with short_directory() as one, short_directory() as other:
        assert one != other
        assert not [*one.iterdir()]
    assert not one.exists()
    assert free_port() != free_port()


TESTS = Path(__file__).parents[1]
PAUSES = {
    "differential/controller/test_other_schemas.py": "what is tried again and again would be tried within this time",
    "live/test_packet_ins_protocols.py": "a state that lasts for some time is what the test is about",
    "support/daemon/forked.py": "a lookup that hangs",
    "support/live/systemctl.py": "a program of its own, which waits for others",
    "support/waiting.py": "the helper",
}
"""Where tests may sleep, and why."""


def waits(tree: ast.Module) -> Iterator[str]:
    """Yield what a module waits with besides the helper: sleeps that are longer than a turn of the event loop."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="sleep"), args=[ast.Constant(value=0)]):
                pass
            case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep")):
                yield ast.unparse(node)
            case ast.alias(name="wait_until"):
                yield node.name


def test_tests_wait_with_this_helper_alone():
    found = {str(path.relative_to(TESTS)): [*waits(ast.parse(path.read_text()))] for path in TESTS.rglob("*.py")}
    del found["unit/lab/test_process.py"]  # the test of the lab's own
    assert {path for path, waited in found.items() if waited} == PAUSES.keys()
