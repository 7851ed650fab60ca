import json
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from nas.commands.show import command


@pytest.fixture
def run(known_study, tmp_path, monkeypatch):
    """Run `nas show` on a known study instead of a directory."""
    known_study.path = tmp_path
    directory = known_study.trial_directory(1)
    directory.mkdir(parents=True)
    (directory / "history.csv").write_text(
        "epoch,learning_rate,train_loss,val_loss,val_accuracy,seconds\n"
        "1,0.1,2.0,1.9,0.3,1.0\n2,0.05,1.0,1.2,0.6,1.0\n"
    )
    opener = SimpleNamespace(open=lambda path: known_study)
    monkeypatch.setitem(sys.modules, "nas.study.study", SimpleNamespace(Study=opener))

    def run(*arguments):
        result = CliRunner().invoke(command, ["study", *arguments])
        assert result.exit_code == 0, result.output
        return result

    return run


def test_shows_placement_metrics_curves_and_standing(run):
    output = run("1").stdout
    for text in (
        "░ C ░", "▓ M ▓", "0.900 ± 0.020", "2 of 5", "train_loss", "█▁", "On the front",
    ):  # fmt: skip
        assert text in output


def test_shows_who_beats_a_trial(run):
    assert "beaten by trial 1." in run("5").stdout


def test_shows_why_a_trial_failed(run):
    assert "failed: diverged" in run("4").stdout


def test_json_is_json_and_nothing_else(run):
    data = json.loads(run("1", "--format", "json").stdout)
    assert data["placement"] == "CC-CM"
    assert data["history"]["val_accuracy"] == [0.3, 0.6]


def test_figures(run, tmp_path):
    run("1", "--plot", str(tmp_path / "a.png"), "--picture", str(tmp_path / "b.svg"))
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert (tmp_path / "b.svg").read_text().startswith("<svg")


def test_a_picture_is_svg(run, known_study, tmp_path):
    result = CliRunner().invoke(
        command, ["study", "1", "--picture", str(tmp_path / "a.png")]
    )
    assert "a figure file ends in .svg; got 'a.png'" in str(result.exception)
    assert not (tmp_path / "a.png").exists()
