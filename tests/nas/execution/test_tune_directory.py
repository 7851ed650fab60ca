import os
import subprocess
import sys
import tempfile

from nas.execution.tune_directory import tune_directory


def test_what_a_killed_driver_left_is_removed_at_the_next_start(tmp_path, monkeypatch):
    code = (
        "import os, signal\n"
        "from nas.execution.tune_directory import tune_directory\n"
        "with tune_directory() as made:\n"
        "    open(os.path.join(made, 'state'), 'w').close()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment)
    (left,) = tmp_path.iterdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    other_host = tmp_path / "nas-tune-elsewhere-1-abc"
    other_host.mkdir()
    with tune_directory() as first, tune_directory() as second:
        assert not left.exists()
        assert os.path.isdir(first)  # its process runs
        assert os.path.isdir(second)
    assert list(tmp_path.iterdir()) == [other_host]
