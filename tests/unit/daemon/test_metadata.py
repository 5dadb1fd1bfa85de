"""`ovenbird metadata`: what its command line says is checked before anything is done."""

from ovenbird.daemon.metadata import main


def test_boot_files_need_a_directory(tmp_path, capsys):
    (tmp_path / "file").write_text("{}")
    for boots, why in ((tmp_path / "none", "No such file or directory"), (tmp_path / "file", "Not a directory")):
        assert main([f"--boots={boots}", f"--unixctl={tmp_path}/x.ctl"]) != 0
        said = capsys.readouterr().err
        assert f"--boots={boots}: {why}" in said
        assert said.count("\n") == 1
