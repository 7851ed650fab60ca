import json
from types import SimpleNamespace

import pytest

from nas.cli import main
from nas.execution import doctor
from nas.execution.doctor import Level, examine
from search_spaces.errors import InputError


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


def test_settings_of_the_config_may_be_changed(tmp_path):
    with pytest.raises(InputError, match="unknown data set 'nope'"):
        examine(tmp_path, "quickstart", ["data.name=nope"])


@pytest.mark.slow
@pytest.mark.ray
def test_every_node_is_asked(local_ray, tmp_path):
    from nas.execution.node_doctor import examine_nodes

    found = {one.what: one for one in examine_nodes(tmp_path / "runs", "local")}
    assert "1 node, 2 CPUs" in found["Ray"].found
    (host,) = {what.partition(": ")[0] for what in found} - {"Ray"}
    assert found[f"{host}: versions"].level is Level.GOOD
    assert str(tmp_path) in found[f"{host}: study directory"].found
    assert all(one.level is not Level.BAD for one in found.values())
    assert list(tmp_path.iterdir()) == []


def test_a_node_of_other_versions_or_without_the_directory_is_told(tmp_path):
    from nas.execution.node_doctor import node_findings, versions

    wanted = {**versions(), "ray": "2.0"}
    found = {one["what"]: one for one in node_findings(str(tmp_path / "a"), wanted)}
    assert found["versions"]["level"] == "warning"
    assert found["versions"]["found"].endswith("instead of 2.0")
    assert found["study directory"]["level"] == "bad"
    found = {one["what"]: one for one in node_findings(str(tmp_path), versions())}
    assert found["versions"]["level"] == found["study directory"]["level"] == "good"
    assert found["study directory"]["found"].endswith("is seen and written")
