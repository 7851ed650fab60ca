import json
from types import SimpleNamespace

import pytest

from nas.cli import main
from nas.execution import doctor
from nas.execution.doctor import Level, examine


def test_a_machine_that_can_run_searches_has_nothing_bad(tmp_path, capsys):
    found = {one.what: one for one in examine(tmp_path / "runs", "quickstart")}
    assert {"packages", "processor", "disk", "local ports", "images"} <= set(found)
    assert all(one.level is not Level.BAD for one in found.values())
    assert not (tmp_path / "runs").exists()
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--out", str(tmp_path), "--format", "json"])
    assert stop.value.code == 0
    assert all("level" in one for one in json.loads(capsys.readouterr().out))
    assert list(tmp_path.iterdir()) == []


def test_what_will_not_work_is_bad_and_exits_with_1(tmp_path, monkeypatch, capsys):
    full = SimpleNamespace(free=10)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: full)
    with pytest.raises(SystemExit) as stop:
        main(["doctor", "--out", str(tmp_path)])
    text = capsys.readouterr().out
    assert stop.value.code == 1
    assert "BAD  disk" in text
    assert "warn shared memory" in text
    with pytest.raises(SystemExit) as stop:  # data.root is missing
        main(["doctor", "images", "--out", str(tmp_path)])
    assert stop.value.code == 2
    assert "data.root" in capsys.readouterr().err


def test_a_check_that_cannot_look_does_not_stop_the_others(tmp_path, monkeypatch):
    def broken():
        raise RuntimeError("no such\nthing")

    monkeypatch.setattr(doctor, "gpu", broken)
    found = {one.what: one for one in examine(tmp_path)}
    assert found["GPU"].level is Level.WARNING
    assert "no such thing" in found["GPU"].found
    assert "disk" in found
