"""Scorer ``supernet``: whole searches on tiny supernets, trained and read in Ray."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from evaluators.classification.accuracy import Accuracy
from evaluators.registry import make_evaluators
from nas.cli import main
from nas.config import config_from_dict
from nas.rule.placement_table import PlacementTable
from nas.scoring.supernet import FromSupernet, PrepareSupernet, ScorePlacement
from nas.scoring.trial_run import TrialRun
from nas.study.study import Study
from search_spaces import InputError


def settings(**changes):
    scoring = {
        "kind": "supernet", "supernets": 2, "epochs": 1, "images": None,
        "calibration_images": 100, **changes.pop("scoring", {}),
    }  # fmt: skip
    return {
        "data": {"name": "digits", "max_train": 64, "max_validation": 40},
        "space": {
            "backbone": {
                "block": "basic", "stem": "patch2",
                "depths": [1, 2], "widths": [4, 8],
            },
            "attention": {"heads": 1},
            "kinds": ["CM", "CMP"],
        },
        "training": {"batch_size": 32, "warmup_epochs": 0, "epochs": 1},
        "scoring": scoring,
        **changes,
    }  # fmt: skip


def score(scorer, study, placement, seed):
    """One run, as a worker has it."""
    from search_spaces import Placement

    architecture = scorer.space.architecture(Placement.parse(placement))
    directory = study / "trials" / "0"
    directory.mkdir(parents=True, exist_ok=True)
    run = TrialRun(
        0,
        architecture.to_dict(),
        seed,
        scorer.epochs,
        directory,
        directory / "none",
        settings=scorer.config,
        data=scorer.data,
    )
    return scorer.function(run)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A scorer and a directory in which its supernets are ready."""
    study = tmp_path_factory.mktemp("study")
    scorer = FromSupernet(config_from_dict(settings()), quiet=True)
    for task in scorer.preparations(study):
        task(scorer.data, 0.0, print)
    return scorer, study


def test_the_config_asks_for_every_placement_by_every_supernet(prepared):
    scorer, _ = prepared
    search_config = scorer.config.search
    assert scorer.space.size == 6
    assert (search_config.sampler, search_config.trials) == ("exhaustive", 12)
    assert search_config.replicates == 2
    assert [one["metric"] for one in scorer.config.objectives] == ["nll", "macs"]
    kept = FromSupernet(config_from_dict(settings(scoring={"score": "accuracy"})), True)
    assert [one["metric"] for one in kept.config.objectives] == ["accuracy", "macs"]


def test_scores_are_those_of_the_placement_s_own_network(prepared):
    scorer, study = prepared
    file = scorer.files(study / "supernets")[1]
    assert file.seed == 1 and file.is_trained
    for placement in ("C-CC", "M-CP", "M-CM"):
        found = score(scorer, study, placement, 1)
        network = file.reader(scorer.data).network(placement.replace("-", ""))
        truth = Accuracy().evaluate(network, scorer.data.evaluation_data())
        assert found.metrics["nll"] == pytest.approx(truth.metrics["nll"], rel=1e-6)
        assert found.metrics["accuracy"] == truth.metrics["accuracy"]
    assert score(scorer, study, "M-CM", 0).metrics != found.metrics


def test_what_is_read_is_what_was_trained(prepared):
    from nas.scoring.supernet_training import train_supernet

    scorer, study = prepared
    file = scorer.files(study / "supernets")[0]
    again = train_supernet(
        scorer.space,
        scorer.data,
        scorer.config.training,
        file.settings,
        seed=file.seed,
    )
    for name, tensor in file.load().state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_every_evaluator_runs_on_a_placement(prepared):
    """All that are registered and take no minutes, beside what the walk gave."""
    scorer, study = prepared
    names = [
        "accuracy", "calibration", "flatness", "sharpness", "low_pass",
        "feature_variance", "lesion", "cka", "cost", "frequency_noise",
    ]  # fmt: skip
    options = {"flatness": {"max_batches": 1}}
    config = scorer.config.model_copy(
        update={"evaluators": {name: options.get(name, {}) for name in names}}
    )
    from search_spaces import Placement

    architecture = scorer.space.architecture(Placement.parse("M-CM"))
    directory = study / "trials" / "1"
    directory.mkdir(parents=True)
    run = TrialRun(
        1,
        architecture.to_dict(),
        0,
        1,
        directory,
        directory / "none",
        settings=config,
        data=scorer.data,
    )
    found = scorer.function(run).metrics
    for evaluator in make_evaluators({name: {} for name in names[1:]}):
        known = [metric.name for metric in evaluator.metrics]
        assert any(name in found for name in known), evaluator.name
    plain = score(scorer, study, "M-CM", 0).metrics
    assert {name: found[name] for name in plain} == pytest.approx(plain)
    assert found["params"] == architecture.params


def test_a_space_that_is_not_walked_is_scored_run_by_run(prepared, monkeypatch):
    scorer, study = prepared
    walked = score(scorer, study, "M-CP", 1)
    for file in scorer.files(study / "supernets"):
        file.scores_file.rename(file.scores_file.with_suffix(".away"))
    try:
        assert score(scorer, study, "M-CP", 1).metrics == pytest.approx(walked.metrics)
    finally:
        for file in scorer.files(study / "supernets"):
            file.scores_file.with_suffix(".away").rename(file.scores_file)
    monkeypatch.setattr("nas.scoring.supernet.MAX_WALKED", 5)
    large = FromSupernet(config_from_dict(settings(search={"trials": 7})), True)
    assert (large.config.search.sampler, large.config.search.trials) == ("tpe", 7)
    assert [task.placements for task in large.preparations(study)] == [(), ()]


def test_preparing_goes_on_and_is_done_once(tmp_path, monkeypatch):
    scorer = FromSupernet(
        config_from_dict(settings(scoring={"supernets": 1, "epochs": 3})), True
    )
    (file,) = scorer.files(tmp_path)
    told = []

    def stop(line):
        told.append(line)
        if "epoch 2" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file.train(scorer.data, tell=stop)
    assert not file.is_trained and file.checkpoint.is_file()
    file.train(scorer.data, tell=told.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.safetensors"]
    other = replace(file, directory=tmp_path / "whole")
    other.train(scorer.data)
    for name, tensor in other.load().state_dict().items():
        assert torch.equal(tensor, file.load().state_dict()[name]), name
    PrepareSupernet(file, ("CCC",))(scorer.data, 0.0, print)

    def never(*_):
        raise AssertionError("it is trained and scored already")

    monkeypatch.setattr("nas.scoring.supernet_file.train_supernet", never)
    monkeypatch.setattr("nas.scoring.supernet_file.drawn_supernet", never)
    PrepareSupernet(file, ("CCC",))(scorer.data, 0.0, print)


def test_a_supernet_that_was_made_otherwise_is_refused(prepared):
    scorer, study = prepared
    directory = study / "supernets"
    for changes in (
        {"scoring": {"epochs": 2}},
        {"training": {"batch_size": 16, "warmup_epochs": 0, "epochs": 1}},
        {"data": {"name": "digits", "max_train": 65, "max_validation": 40}},
        {"scoring": {"path": str(directory), "arrangement": "single"}},
    ):
        with pytest.raises(InputError, match="made with other settings"):
            other = FromSupernet(config_from_dict(settings(**changes)), True)
            assert other.files(directory)[0].is_trained
    # what the weights do not depend on is free, and is scored anew
    other = FromSupernet(
        config_from_dict(settings(scoring={"path": str(directory), "images": 20})), True
    )
    assert not other.files(directory)[0].scores()
    few = settings(scoring={"path": str(directory), "supernets": 3})
    with pytest.raises(InputError, match="seeds 0 to 2; .* is not there"):
        FromSupernet(config_from_dict(few), True)


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(one) for one in arguments])
    return stop.value.code


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_files_of_a_supernet_that_were_cut(prepared, tmp_path, share):
    """Weights are asked back for in one line; scores are measured anew."""
    scorer, study = prepared
    for path in (study / "supernets").iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[: int(share * len(content))])
    file = scorer.files(tmp_path)[0]
    assert not file.scores()
    with pytest.raises(InputError, match=r"0\.safetensors") as caught:
        assert file.is_trained
        file.load()
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"0\.safetensors"):
        FromSupernet(config_from_dict(settings(scoring={"path": str(tmp_path)})), True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scoring": {"supernets": 0}}, "scoring.supernets"),
        ({"scoring": {"supernts": 2}}, "unknown key 'scoring.supernts'"),
        ({"scoring": {"batchnorm": "reset"}}, "scoring.batchnorm"),
        ({"space": {"kinds": "C"}}, "needs a slot with a choice"),
        ({"parent": {"model": "timm:resnet10t"}}, "has no section parent"),
        ({"search": {"fidelity": {}}}, "search.fidelity"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, change, message):
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(settings(**change)))
    assert run("search", path, "--out", tmp_path / "s", "--quiet") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("number", [4, 5])
def test_few_supernets_are_no_ground_for_a_rule(number):
    """That more are right as clusters: tests/nas/rule/test_verdict.py."""
    placements = ["CC-CC", "CM-CC", "CC-CM", "MC-CC", "CC-MC", "CM-CM", "MM-MM"]
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        [
            {"placement": text, "supernet": one, "nll": rng.normal()}
            for one in range(number)
            for text in placements
        ]
    )
    if number < 5:
        with pytest.raises(InputError, match="at least 5 supernets.* has 4"):
            PlacementTable.of_frame(frame, "nll")
    else:
        table = PlacementTable.of_frame(frame, "nll")
        assert table.clusters is not None
        assert len(set(table.clusters.tolist())) == 5


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_search_end_to_end_on_ray(tmp_path, capsys):
    """Supernets are trained side by side, all placements scored; the verbs read it."""
    path = tmp_path / "c.yaml"
    given = settings(evaluators={"accuracy": {}, "cost": {}, "feature_variance": {}})
    del given["scoring"]
    path.write_text(json.dumps(given))
    small = [
        "--set", "scoring.supernets=2", "--set", "scoring.epochs=1",
        "--set", "scoring.calibration_images=100",
    ]  # fmt: skip
    out = tmp_path / "s"
    kind = ["--set", "scoring.kind=supernet"]
    assert run("search", path, "--out", out, "--quiet", *kind, *small) == 0
    study = Study.open(out)
    table = study.table()
    assert len(table) == 12
    assert set(table["state"]) == {"complete"}
    assert set(table["scorer"]) == {"supernet"}
    assert sorted(table["supernet"]) == [0] * 6 + [1] * 6
    assert table["nll"].nunique() == 12
    assert table["variance_change"].notna().all()
    assert [o.metric for o in study.objectives] == ["nll", "macs"]
    for verb in ("pareto", "predict"):
        capsys.readouterr()
        assert run(verb, out, "--format", "json") == 0
        json.loads(capsys.readouterr().out)
    assert run("rule", out) == 2
    assert "at least 5 supernets" in capsys.readouterr().err
    assert run("show", out, "3") == 0
    assert run("report", out) == 0
    assert run("resume", out, "--quiet") == 0
    # trained ahead, the same supernets give the same scores
    ahead = tmp_path / "ahead"
    assert run("supernet", path, "--out", ahead, "--quiet", *small) == 0
    assert sorted(p.name for p in ahead.iterdir()) == ["0.safetensors", "1.safetensors"]
    again = tmp_path / "again"
    use = ["--set", f"scoring.path={ahead}"]
    assert run("search", path, "--out", again, "--quiet", *kind, *small, *use) == 0
    keys = ["placement", "supernet"]
    one, other = (
        Study.open(p).table().set_index(keys)["nll"].sort_index() for p in (out, again)
    )
    assert one.to_dict() == other.to_dict()


def test_the_function_can_be_pickled(prepared):
    import pickle

    scorer, study = prepared
    copy = pickle.loads(pickle.dumps(scorer.function))
    assert isinstance(copy, ScorePlacement)
    assert [one.made for one in copy.files] == [one.made for one in scorer.files(study)]
