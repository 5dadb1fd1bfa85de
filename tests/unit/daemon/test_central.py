"""`ovenbird central`: what its command line says is checked before anything is done."""

import pytest

from ovenbird.daemon.central import main


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--set=metdta=true"], "there is no setting metdta: is metadata meant?"),
        (["--set=metadata=banana"], "metadata=banana: metadata is true or false"),
        (["--set", "metadata=true", "--set=max_routes=many"], "max_routes=many: max_routes is a whole number"),
        (["--set=metadata=true", "--set=metadata=false"], "metadata is given twice"),
        (["--set=metadata"], "metadata is not of the form NAME=VALUE"),
    ],
)
def test_settings_that_make_no_sense(words, why, tmp_path, capsys):
    place = tmp_path / "central"
    assert main([f"--rundir={place}", *words]) != 0
    said = capsys.readouterr().err
    assert f"--set: {why}" in said
    assert said.count("\n") == 1
    assert not place.exists()
