import pytest

from ovenbird.lab.command import run
from ovenbird.lab.errors import CommandError, RequirementError


def test_a_program_gets_input_and_variables_and_gives_output() -> None:
    assert run(["sh", "-c", "read line; echo $line $COLOUR"], stdin="a b\n", env={"COLOUR": "red"}) == "a b red\n"


def test_system_programs_are_found_without_their_directory_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(["sh", "-c", "echo $PATH"]).startswith("/nowhere:")
    monkeypatch.delenv("PATH")
    assert run(["true"]) == ""


def test_failures_are_told_apart() -> None:
    with pytest.raises(CommandError, match="failed with status 3: oops") as caught:
        run(["sh", "-c", "echo oops >&2; exit 3"])
    assert (caught.value.status, caught.value.stderr) == (3, "oops")
    with pytest.raises(CommandError, match=r"did not end within 0\.05 s"):
        run(["sleep", "5"], timeout=0.05)
    with pytest.raises(RequirementError, match="no-such-program is missing"):
        run(["no-such-program"])
