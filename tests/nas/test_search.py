import json
import threading

import pytest
import yaml
from search_parts import (
    climbing_trial,
    config,
    fake_trial,
    misbehaving_trial,
    small_space,
)

from nas.ledger.trial import TrialState
from nas.search_run import SearchFailedError, resume, search
from nas.study.lease import Lease
from nas.study.status import StudyStatus, to_json
from nas.study.study import Study
from search_spaces.errors import InputError

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


def test_whatever_a_trial_does_the_search_goes_on_and_says_so(tmp_path, capfd):
    settings = config(search={"trials": 10, "trial_time_limit_s": 4})
    study = search(settings, tmp_path / "s", function=misbehaving_trial)
    trials = {t.number: t for t in study.trials()}
    order = [str(a.placement) for a in small_space().enumerate()]
    errors = {order.index(t.placement): t.error for t in trials.values() if t.error}
    assert "ran longer than its time limit" in errors[4]
    assert "misbehaving_trial" in errors.pop(4)
    assert "lost with its worker: its process died" in errors.pop(3)
    assert errors == {
        0: "ValueError: boom over two lines",
        1: "objectives must be finite numbers, got accuracy = nan",
        2: "the trial gave no value for the objective macs",
        5: "MemoryError: cannot allocate 8 GiB",
    }
    lost = next(t for t in trials.values() if t.retried_as is not None)
    again = trials[lost.retried_as]
    assert (again.state, again.placement) == (
        TrialState.COMPLETE,
        lost.placement,
    )
    kept = [t for t in trials.values() if t.retried_as is None]
    assert len(kept) == 10
    assert len({t.placement for t in kept}) == 10
    assert "boom" in (study.trial_directory(0) / "error.txt").read_text()
    out, err = capfd.readouterr()
    assert out == ""
    assert (
        "10 trials: 5 complete, 5 failed; lost with their worker and queued again: 1"
        in err
    )
    status = json.loads(to_json(StudyStatus.of(study)))
    assert (status["state"], status["num_lost"]) == ("finished", 1)
    assert status["counts"]["complete"] == 5
    assert status["best"]["accuracy"]["value"] == max(
        t.metrics["accuracy"] for t in kept if t.state == TrialState.COMPLETE
    )


def no_cluster(resources):
    raise AssertionError("Ray was started")


def test_a_finished_search_is_extended_and_nothing_is_done_twice(
    tmp_path, monkeypatch, capsys
):
    path = tmp_path / "s"
    space = config().to_dict()["space"] | {"constraints": {"max_msas": 1}}
    settings = config(space=space, search={"trials": 2})
    first = search(settings, path, quiet=True, function=fake_trial)
    before = {t.number: t for t in first.trials()}
    with monkeypatch.context() as patch:
        patch.setattr("nas.execution.cluster.ray_cluster", no_cluster)
        again = resume(path, function=fake_trial)
    assert {t.number: t for t in again.trials()} == before
    assert (
        f"every trial has ended; to go on, ask for more of them: nas resume {path}"
        in (capsys.readouterr().err)
    )
    study = resume(path, 40, quiet=True, function=fake_trial)
    trials = {t.number: t for t in study.trials()}
    assert {n: trials[n] for n in before} == before
    assert sorted(t.placement for t in trials.values()) == [
        "CCC-CCC", "CCC-CCM", "CCC-CMC", "CCM-CCC", "CMC-CCC", "MCC-CCC",
    ]  # fmt: skip
    assert study.num_trials == 40
    assert study.is_exhausted
    with monkeypatch.context() as patch:
        patch.setattr("nas.execution.cluster.ray_cluster", no_cluster)
        assert len(resume(path, quiet=True, function=fake_trial).trials()) == 6
    assert StudyStatus.of(study).state == "finished"
    table = study.table()
    assert list(table.columns[:7]) == [
        "number", "state", "placement", "seed", "epochs", "accuracy", "macs",
    ]  # fmt: skip
    assert (path / "trials.parquet").exists()


@pytest.mark.parametrize(
    "sampler", ["tpe", pytest.param("random", marks=pytest.mark.slow)]
)
def test_one_worker_and_one_seed_give_one_table(tmp_path, sampler):
    settings = config(search={"sampler": sampler}, resources={"max_concurrent": 1})
    tables = [
        search(settings, tmp_path / name, quiet=True, function=fake_trial)
        .table()
        .drop(columns=["duration_s", "node", "started", "finished"])
        for name in ("a", "b")
    ]
    assert tables[0].equals(tables[1])


def test_halving_stops_trials_and_keeps_them_off_the_front(tmp_path):
    settings = config(
        search={
            "trials": 16,
            "fidelity": {"min_epochs": 1, "reduction_factor": 2},
            "sampler": "random",
        },
        objectives=["accuracy"],
        resources={"max_concurrent": 1},
    )
    study = search(settings, tmp_path / "s", quiet=True, function=climbing_trial)
    trials = study.trials()
    pruned = [t for t in trials if t.state == TrialState.PRUNED]
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    assert len(pruned) + len(complete) == 16
    assert pruned
    assert {t.rung for t in pruned} <= {1, 2}
    assert all(t.rung is None for t in complete)
    best = max(t.metrics["accuracy"] for t in complete)
    for trial in pruned:
        full = trial.metrics["accuracy"] * 4 / trial.rung
        assert full < best
    assert study.table().query("state == 'pruned'")["rung"].notna().all()
    # The rungs of the first part count in the second: few new trials get through.
    more = resume(tmp_path / "s", 24, quiet=True, function=climbing_trial)
    assert len(more.trials()) == 24
    assert more.trials()[:16] == trials


@pytest.mark.slow
def test_no_complete_trial_is_a_failure_of_the_run(tmp_path):
    def hopeless(run):
        raise RuntimeError("never works")

    with pytest.raises(SearchFailedError, match=r"never works \(3 times\)"):
        search(
            config(search={"trials": 3}), tmp_path / "s", quiet=True, function=hopeless
        )
    assert len(Study.open(tmp_path / "s").trials()) == 3


def test_a_directory_in_use_is_refused(tmp_path):
    path = tmp_path / "s"
    search(config(search={"trials": 2}), path, quiet=True, function=fake_trial)
    with pytest.raises(InputError, match="resume it, or choose another") as refused:
        search(config(), path, quiet=True, function=fake_trial)
    assert refused.value.hint == f"nas resume {path}, or --out DIR"
    with (
        Lease(path),
        pytest.raises(InputError, match="one study has one driver"),
    ):
        resume(path, 4, quiet=True, function=fake_trial)


def test_wrong_input_leaves_nothing_behind(tmp_path):
    with pytest.raises(InputError, match="unknown sampler 'nonsense'"):
        search(config(search={"sampler": "nonsense"}), tmp_path / "s")
    with pytest.raises(InputError, match="a trial needs 1000 CPUs"):
        search(
            config(resources={"cpus_per_trial": 1000, "max_concurrent": None}),
            tmp_path / "s",
            quiet=True,
            function=fake_trial,
        )
    url = "nonsense://host/db"
    with pytest.raises(InputError, match="storage must be a URL"):
        search(config(storage=url), tmp_path / "s", quiet=True, function=fake_trial)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_study_in_a_database(tmp_path):
    url = f"sqlite:///{tmp_path}/all.db"
    settings = config(storage=url, search={"trials": 3})
    study = search(settings, tmp_path / "s", quiet=True, function=fake_trial)
    assert [t.state for t in study.trials()] == [TrialState.COMPLETE] * 3
    assert resume(tmp_path / "s", 4, quiet=True, function=fake_trial).num_trials == 4
    with pytest.raises(InputError, match="holds a study 'test' already"):
        search(settings, tmp_path / "t", quiet=True, function=fake_trial)


@pytest.mark.slow
def test_the_config_of_a_study_runs_it_again(tmp_path):
    from nas.config import load_config

    settings = config(search={"trials": 2})
    study = search(settings, tmp_path / "s", quiet=True, function=fake_trial)
    assert study.config == settings
    stored = yaml.safe_load((tmp_path / "s" / "config.yaml").read_text())
    assert stored["study"]["format"] == "nas-study/1"
    assert {"python", "torch", "ray", "optuna"} <= set(stored["study"]["versions"])
    assert load_config(tmp_path / "s" / "config.yaml") == settings


@pytest.mark.slow
def test_fractions_of_a_cpu_run_more_trials_at_once(tmp_path):
    def wait_for_company(run):
        import time

        here = run.directory.parent
        for _ in range(3000):
            if len(list(here.glob("*/worker.json"))) >= 4:
                return fake_trial(run)
            time.sleep(0.1)
        raise TimeoutError("never four at once")

    settings = config(
        search={"trials": 4},
        resources={"cpus_per_trial": 0.5, "max_concurrent": None},
    )
    study = search(settings, tmp_path / "s", quiet=True, function=wait_for_company)
    assert {t.state for t in study.trials()} == {TrialState.COMPLETE}


@pytest.mark.slow
def test_works_outside_the_main_thread(tmp_path):
    found = []

    def run():
        path = tmp_path / "s"
        found.append(search(config(), path, quiet=True, function=fake_trial))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert len(found[0].trials()) == 8
