import json

import pytest
from click.testing import CliRunner

import nas
from nas.commands import search, space
from nas.config import config_from_dict
from nas.execution.dry_run import _mean_epochs, measure_launch, remembered
from nas.study.layout import StudyLayout
from search_spaces.errors import InputError

SETTINGS = {
    "space": {
        "backbone": {
            "block": "basic", "stem": "patch2", "depths": [1, 2], "widths": [4, 8],
        },
        "attention": {"heads": 1},
    },
    "data": {"name": "fake"},
    "training": {"epochs": 3},
    "evaluators": ["accuracy", "cost"],
    "objectives": ["accuracy"],
    "search": {"trials": 100, "baselines": False},
    "resources": {"max_concurrent": 2},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("nas.scoring.pace.PART_S", 0.01)


def changed(**sections):
    return config_from_dict({**SETTINGS, **sections})


def test_two_placements_are_measured_and_remembered_for_the_search(tmp_path):
    config = changed()
    told = []
    cost = measure_launch(config, told.append)
    found = {a.macs: str(a.placement) for a in config.space.make(10, 3, 16).enumerate()}
    assert (cost.cheapest.placement, cost.dearest.placement) == (
        found[min(found)],
        found[max(found)],
    )
    assert (cost.trials, cost.at_once, cost.mean_epochs) == (4, 2, 3)  # all there are
    assert set(cost.cheapest.evaluators) == {"accuracy", "cost"}
    assert 0 < cost.seconds.low <= cost.seconds.expected <= cost.seconds.high
    assert len(told) == 2
    assert remembered(config).expected == cost.expected
    assert remembered(changed(training={"epochs": 4})) is None


def test_mean_epochs_follow_the_rungs():
    """Nine trainings: all have 1 epoch, three of them 3, one of them 9."""
    search = {"fidelity": {"min_epochs": 1, "reduction_factor": 3}}
    config = changed(training={"epochs": 9}, search=search)
    assert _mean_epochs(config) == pytest.approx((9 * 1 + 3 * 2 + 1 * 6) / 9)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"scoring": {"kind": "supernet"}}, "scoring.kind scratch, got supernet"),
        ({"resources": {"workers_per_trial": 2}}, "workers_per_trial 2"),
        ({"resources": {"gpus_per_trial": 1}}, "no GPU"),
        ({"resources": {"cpus_per_trial": 4000}}, "needs 4000 CPUs"),
    ],
)
def test_what_cannot_be_measured_is_said(sections, message, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(InputError, match=message):
        measure_launch(changed(**sections))


def test_a_dry_run_trains_no_study_and_both_commands_say_the_same(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(json.dumps(SETTINGS))
    cost = nas.launch_cost("a.yaml")
    monkeypatch.setattr("nas.execution.dry_run.measure_launch", lambda *_: cost)
    run = CliRunner().invoke
    dry = run(search.command, ["a.yaml", "--dry-run", "--format", "json"])
    timed = run(space.command, ["a.yaml", "--time", "--format", "json"])
    expected = json.loads(json.dumps(cost.to_dict()))
    assert json.loads(dry.stdout) == expected
    assert json.loads(timed.stdout)["launch_cost"] == expected
    assert run(search.command, ["a.yaml", "--dry-run"]).stdout.splitlines() == (
        cost.lines()
    )
    assert cost.lines()[0] in run(space.command, ["a.yaml", "--time"]).stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.yaml", "cache"]


def test_a_format_is_for_a_dry_run_alone():
    result = CliRunner().invoke(search.command, ["quickstart", "--format", "json"])
    assert isinstance(result.exception, InputError)
    assert "--dry-run" in str(result.exception)


@pytest.mark.slow
@pytest.mark.ray
def test_the_study_begins_with_it_and_it_is_about_right(tmp_path):
    config = changed(training={"epochs": 12}, data={"name": "fake", "max_train": 2000})
    cost = measure_launch(config)
    study = nas.search(config, tmp_path / "study", quiet=True)
    assert StudyLayout(study.path).launch_cost.is_file()
    took = study.table()["duration_s"].mean()
    # A busy machine may be three times slower now than then; not ten times.
    assert cost.trial_seconds.low / 10 < took < cost.trial_seconds.high * 10
    size = sum(f.stat().st_size for f in (study.path / "trials").rglob("*.*"))
    assert size == pytest.approx(cost.trials * cost.cheapest.disk_bytes, rel=0.3)


@pytest.mark.slow
@pytest.mark.ray
def test_a_cluster_measures_where_its_trials_would_run(local_ray):
    wanted = {"cpus_per_trial": 2, "address": "auto"}
    cost = measure_launch(changed(resources=wanted))
    assert (cost.at_once, cost.trials) == (1, 4)
    assert "2 CPU" in cost.device
