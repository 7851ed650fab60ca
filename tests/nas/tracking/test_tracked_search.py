import json
import math

import mlflow
import pandas as pd
import pytest
from search_parts import config, fake_trial, measured, small_space
from tracker_files import finished_run, hparams, scalars

from nas.config import config_from_dict
from nas.ledger.trial import TrialState
from nas.scoring.trial_run import TrialRun
from nas.search_run import resume, search
from search_spaces import Architecture

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


def real_config(trackers):
    """Two small networks, trained on real digits."""
    return config_from_dict(
        {
            "name": "digits",
            "data": {"name": "digits", "max_train": 128, "max_validation": 64},
            "space": {
                "backbone": {
                    "block": "basic", "stem": "cifar",
                    "depths": [1, 2], "widths": [4, 8],
                },
                "attention": {"heads": 2, "head_dim": 4, "window": 4},
            },
            "training": {"epochs": 2, "warmup_epochs": 0},
            "objectives": ["accuracy", "params"],
            "search": {"sampler": "random", "trials": 2, "baselines": False},
            "resources": {"max_concurrent": 2},
            "tracking": {"to": trackers, "wandb_mode": "offline"},
        }
    )  # fmt: skip


def runs_in(uri, experiment):
    """MLflow's runs, through its client."""
    client = mlflow.MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id])
    return client, {run.info.run_name: run for run in runs}


@pytest.mark.slow
def test_tensorboard_shows_what_the_study_holds(tmp_path, capfd):
    path = tmp_path / "s"
    study = search(real_config(["tensorboard"]), path)
    assert "tracking to tensorboard: tensorboard --logdir" in capfd.readouterr().err
    table = study.table()
    names = {f"{row.number:04d}-{row.placement}" for row in table.itertuples()}
    assert {one.name for one in (path / "tensorboard").iterdir()} == names
    for row in table.to_dict("records"):
        directory = path / "tensorboard" / f"{row['number']:04d}-{row['placement']}"
        board = scalars(directory)
        history = pd.read_csv(study.trial_directory(row["number"]) / "history.csv")
        for column in history.set_index("epoch"):
            expected = dict(zip(history["epoch"], history[column], strict=True))
            assert board[f"ray/tune/{column}"] == pytest.approx(expected, rel=1e-5)
        assert board["ray/tune/accuracy"][2] == pytest.approx(row["accuracy"])
        assert hparams(directory)["placement"] == row["placement"]


@pytest.mark.slow
def test_trackers_show_what_the_study_holds(tmp_path, capfd, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    path = tmp_path / "s"
    settings = real_config(["tensorboard", "mlflow", "wandb"])
    study = search(settings, path)
    assert "tracking to tensorboard: tensorboard --logdir" in capfd.readouterr().err
    client, runs = runs_in(f"sqlite:///{path / 'mlflow.db'}", "digits")
    offline = {
        run["name"]: run
        for run in map(finished_run, (path / "wandb").glob("offline-*"))
    }
    table = study.table()
    assert list(table["state"]) == ["complete"] * 2
    names = {f"{row.number:04d}-{row.placement}" for row in table.itertuples()}
    assert set(runs) == set(offline) == names
    assert {one.name for one in (path / "tensorboard").iterdir()} == names
    for row in table.to_dict("records"):
        name = f"{row['number']:04d}-{row['placement']}"
        directory = study.trial_directory(row["number"])
        history = pd.read_csv(directory / "history.csv").set_index("epoch")
        assert list(history.index) == [1, 2]
        board = scalars(path / "tensorboard" / name)
        run, other = runs[name], offline[name]
        for column in history:
            expected = history[column].to_dict()
            assert board[f"ray/tune/{column}"] == pytest.approx(expected, rel=1e-5)
            points = client.get_metric_history(run.info.run_id, column)
            assert {one.step: one.value for one in points} == expected
            assert other["curves"][column] == expected
        for metric in ("accuracy", "nll", "params", "macs", "duration_s"):
            assert board[f"ray/tune/{metric}"][2] == pytest.approx(row[metric])
            assert run.data.metrics[metric] == row[metric]
            assert other["curves"][metric] == {2: row[metric]}
        assert run.info.status == "FINISHED"
        assert run.data.tags["state"] == other["config"]["state"] == "complete"
        assert (other["exit_code"], other["group"]) == (0, "digits")
        chosen = hparams(path / "tensorboard" / name)
        assert chosen["state"] == "complete"
        for found in (chosen, run.data.params, other["config"]):
            assert found["placement"] == row["placement"]
            assert found["architecture"] == row["architecture"]
            assert found["heads"] == "2 2"
            assert int(found["number"]) == row["number"]
            assert int(found["seed"]) == row["seed"]
            assert int(found["epochs"]) == 2
            assert int(found["num_msas"]) == row["placement"].count("M")
            assert int(found["params"]) == row["params"]
        written = json.dumps([board, other, run.to_dictionary()], default=str)
        assert "standard_errors" not in written  # a name inside the JSON texts


def eventful_trial(run: TrialRun):
    """Shows epochs and rungs; fails or dies at some placements, the first time."""
    import os

    architecture = Architecture.from_dict(dict(run.architecture))
    placements = [a.placement for a in small_space().enumerate()]
    index = placements.index(architecture.placement)
    for epoch in range(1, run.epochs + 1):
        run.watch({"epoch": epoch, "val_accuracy": epoch / 10, "val_loss": math.nan})
        if index == 1 and epoch == 2:
            raise ValueError("boom")
        marker = run.directory.parent / "died-once"
        if index == 2 and epoch == 1 and not marker.exists():
            marker.touch()
            os._exit(1)
        if epoch in run.rungs:
            run.report(epoch, measured(architecture))
    return fake_trial(run)


@pytest.mark.slow
def test_states_are_shown_and_a_resumed_study_adds_to_its_runs(tmp_path):
    path = tmp_path / "s"
    uri = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    settings = config(
        search={"trials": 8, "fidelity": {"min_epochs": 1, "reduction_factor": 2}},
        objectives=["accuracy"],
        resources={"max_concurrent": 1},
        tracking={"to": ["mlflow", "tensorboard"], "mlflow_uri": uri, "project": "p"},
    )
    import sys

    import ray

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    search(settings, path, quiet=True, function=eventful_trial)
    before = {p: p.stat().st_size for p in path.glob("tensorboard/*/events*")}
    study = resume(path, 10, quiet=True, function=eventful_trial)
    client, runs = runs_in(uri, "p")
    trials = {f"{t.number:04d}-{t.placement}": t for t in study.trials()}
    assert set(runs) == set(trials)
    assert len(trials) == 11  # one was lost, and repeated
    states = set()
    for name, trial in trials.items():
        run = runs[name]
        state = "lost" if trial.retried_as is not None else str(trial.state)
        states.add(state)
        assert run.data.tags["state"] == state
        failed = state in ("failed", "lost")
        assert run.info.status == ("FAILED" if failed else "FINISHED")
        assert run.data.tags.get("error", "") == trial.error
        shown = client.get_metric_history(run.info.run_id, "val_accuracy")
        steps = [one.step for one in shown]
        board = scalars(path / "tensorboard" / name)
        assert sorted(board.get("ray/tune/val_accuracy", {})) == steps
        match state:
            case "complete":
                assert steps == [1, 2, 3, 4]
            case "pruned":
                assert steps == list(range(1, trial.rung + 1))
            case "failed":
                assert steps == [1, 2]
        for metric, value in trial.metrics.items():
            assert run.data.metrics[metric] == value
        assert "val_loss" not in run.data.metrics  # never finite
        if trial.retry_of is not None:
            assert run.data.params["retry_of"] == str(trial.retry_of)
    assert states == {"complete", "failed", "pruned", "lost"}
    after = {p: p.stat().st_size for p in path.glob("tensorboard/*/events*")}
    assert after.items() >= before.items()


@pytest.mark.slow
def test_a_broken_tracker_costs_one_line_and_an_untracked_search_writes_none(
    tmp_path, capfd
):
    expected = search(config(), tmp_path / "plain", quiet=True, function=fake_trial)
    files = {one.name for one in expected.path.iterdir()}
    assert not files & {"tensorboard", "mlflow.db", "mlruns", "wandb"}
    uri = f"sqlite:///{tmp_path}/no/such/directory/mlflow.db"
    tracking = {"to": ["mlflow"], "mlflow_uri": uri}
    (tmp_path / "no").touch()  # so that it cannot be made either
    settings = config(tracking=tracking)
    capfd.readouterr()
    study = search(settings, tmp_path / "s", quiet=True, function=fake_trial)
    assert {t.state for t in study.trials()} == {TrialState.COMPLETE}
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = [one for one in err.splitlines() if "tracking to" in one]
    assert "failed and is off now" in line
    plain = expected.table().set_index("placement")["accuracy"]
    assert study.table().set_index("placement")["accuracy"].equals(plain)
