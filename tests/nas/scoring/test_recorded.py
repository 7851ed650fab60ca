import errno
import itertools
import json
import os
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from nas.config import load_config
from nas.ledger.trial import Objective, Trial, TrialState
from nas.rule.rule_test import rule_test
from nas.sampling.build_up import BuildUpDesign
from nas.sampling.design import WAIT
from nas.scoring.recorded import FromRecord, Recorded, recorded_space
from nas.search_run import SearchFailedError, resume, search
from nas.study.study import Study
from search_spaces.backbone import Backbone
from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.free_space import FreeSpace


def whole_table(depths=(2, 2, 2), num_seeds=2):
    """Every placement; the accuracy is 0.5 and 0.1 for each stage that ends in M."""
    rows = []
    for letters in itertools.product("CM", repeat=sum(depths)):
        text = iter(letters)
        stages = tuple("".join(next(text) for _ in range(d)) for d in depths)
        placement = Placement(stages)
        ends = sum(stage.endswith("M") for stage in stages)
        for seed in range(num_seeds):
            rows.append(
                {
                    "placement": str(placement),
                    "seed": seed,
                    "accuracy": 0.5 + 0.1 * ends + 0.001 * seed,
                    "params": 100 + 10 * placement.num_msas,
                }
            )
    return pd.DataFrame(rows)


def replay(settings, recorded, out):
    scorer = FromRecord(settings, table=recorded)
    return search(settings, out, quiet=True, scorer=scorer)


def config(*changes):
    return load_config("quickstart", ["objectives=[accuracy]", *changes])


def test_a_search_looks_everything_up(tmp_path):
    recorded = Recorded.of_frame(whole_table())
    study = replay(config("search.trials=20"), recorded, tmp_path / "study")
    trials = Study.open(study.path).trials()
    assert len(trials) == 20
    for trial in trials:
        ends = sum(s.endswith("M") for s in Placement.parse(trial.placement).stages)
        assert trial.metrics["accuracy"] == pytest.approx(0.5 + 0.1 * ends)
        assert trial.metrics["params"] > 0
        assert trial.state == TrialState.COMPLETE
    assert len({trial.placement for trial in trials}) == 20
    assert (study.path / "trials.csv").exists()


def test_every_trial_says_which_scorer_it_is_from_and_the_search_goes_on(tmp_path):
    table = tmp_path / "table.csv"
    whole_table().to_csv(table, index=False)
    scoring = f"scoring={{kind: recorded, table: {table}}}"
    study = search(config("search.trials=5", scoring), tmp_path / "study", quiet=True)
    assert list(study.table()["scorer"]) == ["recorded"] * 5
    longer = resume(study.path, trials=9, quiet=True)
    assert [t.scorer for t in longer.trials()] == ["recorded"] * 9
    assert study.header["replay_of"] == "table.csv"


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        (
            "{kind: dreams}",
            "there are distilled, finetune, recorded, scratch, supernet, two_step",
        ),
        ("{kind: recorded}", "needs scoring.table"),
        ("{kind: recorded, tabel: a.csv}", "unknown key 'scoring.tabel'"),
        ("{kind: scratch, table: a.csv}", "unknown key 'scoring.table'"),
    ],
)
def test_scoring_that_does_not_exist_is_refused(tmp_path, scoring, message):
    with pytest.raises(InputError, match=message):
        search(config(f"scoring={scoring}"), tmp_path / "study", quiet=True)
    assert not (tmp_path / "study").exists()


def test_a_scorer_of_ones_own_runs_in_the_same_driver(tmp_path):
    recorded = Recorded.of_frame(whole_table())

    class Moody(FromRecord):
        name = "moody"

        @property
        def function(self):
            def score(run):
                if run.number == 2:
                    raise RuntimeError("not today")
                return self._look_up(run)

            return score

    settings = config("search.trials=5")
    study = search(
        settings, tmp_path / "study", quiet=True, scorer=Moody(settings, table=recorded)
    )
    states = [str(trial.state) for trial in study.trials()]
    assert states == ["complete", "complete", "failed", "complete", "complete"]
    assert study.trials()[2].error == "RuntimeError: not today"
    assert {trial.scorer for trial in study.trials()} == {"moody"}
    # Its config alone would train the further ones.
    with pytest.raises(InputError, match="is moody here and would be scratch"):
        resume(study.path, 9, quiet=True)
    assert len(study.trials()) == 5


def test_a_full_disk_stops_a_search_in_its_own_process_and_loses_nothing(
    tmp_path, monkeypatch
):
    class Full(FromRecord):
        @property
        def function(self):
            def score(run):
                if run.number == 2:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return self._look_up(run)

            return score

    whole_table().to_csv(tmp_path / "table.csv", index=False)
    looked_up = {"kind": "recorded", "table": str(tmp_path / "table.csv")}
    settings = config("search.trials=5", f"scoring={json.dumps(looked_up)}")
    with pytest.raises(SearchFailedError, match="make room, then go on with: nas"):
        search(settings, tmp_path / "s", quiet=True, scorer=Full(settings, quiet=True))
    study = resume(tmp_path / "s", quiet=True)
    kept = [t for t in study.trials() if t.retried_as is None]
    assert [str(t.state) for t in kept] == ["complete"] * 5

    def full(self):
        raise InputError("the table cannot be written") from OSError(errno.ENOSPC, "")

    monkeypatch.setattr(Study, "write_table", full)
    with pytest.raises(SearchFailedError, match="go on with: nas resume"):
        replay(settings, Recorded.of_frame(whole_table()), tmp_path / "t")
    assert len(Study.open(tmp_path / "t").trials()) == 5


def test_build_up_finds_the_planted_rule(tmp_path):
    recorded = Recorded.of_frame(whole_table())
    settings = config(
        "search.sampler=build_up",
        "search.trials=40",
        "search.replicates=2",
        "search.baselines=false",
    )
    study = replay(settings, recorded, tmp_path / "study")
    tried = list(dict.fromkeys(trial.placement for trial in study.trials()))
    assert tried == ["CC-CC-CC", "CC-CC-CM", "CC-CM-CM", "CM-CM-CM"]


def test_a_factorial_replay_supports_the_planted_rule(tmp_path):
    noisy = whole_table((3, 3, 3), num_seeds=1)
    noisy["accuracy"] += np.random.default_rng(0).normal(0, 0.02, len(noisy))
    settings = config("search.sampler=factorial", "search.trials=48")
    study = replay(settings, Recorded.of_frame(noisy), tmp_path / "study")
    test = rule_test(study.path)
    assert test.sampling == "uniform" and test.verdict == "supported"


def search_table(table, tmp_path, preset, *changes):
    """A replay that can be resumed, because its table is a file."""
    table.to_csv(tmp_path / "table.csv", index=False)
    looked_up = {"kind": "recorded", "table": str(tmp_path / "table.csv")}
    settings = load_config(preset, [f"scoring={json.dumps(looked_up)}", *changes])
    return search(settings, tmp_path / "study")


@pytest.mark.parametrize("sampler", ["factorial", "tpe"])
def test_runs_that_are_not_in_the_table_are_not_asked_for(tmp_path, sampler):
    table = whole_table()  # two seeds of what begins with M, one of the others
    part = table[(table.seed == 0) | table.placement.str.startswith("M")]
    wanted = {"trials": 20, "replicates": 3, "sampler": sampler, "baselines": False}
    changes = [f"search.{name}={value}" for name, value in wanted.items()]
    study = search_table(
        part, tmp_path, "quickstart", "objectives=[accuracy]", *changes
    )
    assert resume(study.path, 30, quiet=True).num_counted == 30
    trials = Study.open(study.path).trials()
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    runs = Counter(trial.placement for trial in trials)
    assert all(n <= 1 + (p[0] == "M") for p, n in runs.items())
    assert max(runs.values()) == 2 and min(runs.values()) == 1


def test_a_table_without_seeds_is_replayed_by_a_preset_with_replicates(
    tmp_path, capsys
):
    table = whole_table().query("seed == 0").drop(columns="seed")
    study = search_table(table, tmp_path, "rule")
    assert [str(t.state) for t in study.trials()] == ["complete"] * 64
    said = capsys.readouterr().err
    assert (
        "replicates is 2, but 64 of the 64 placements of table.csv have fewer" in said
    )


def test_seeds_may_be_words():
    table = whole_table()
    table["accuracy"] = range(len(table))
    words = {0: "Tuesday", 1: "Monday"}
    named = Recorded.of_frame(table.assign(seed=table.seed.map(words)))
    numbered = Recorded.of_frame(table.assign(seed=[str(1 - s) for s in table.seed]))
    assert named == numbered  # Monday comes first, in the order of the alphabet
    mixed = table.assign(seed=[["10", None, "9", "word"][i % 4] for i in range(128)])
    placements = iter(Recorded.of_frame(mixed).runs.values())
    assert [run["accuracy"] for run in next(placements)] == [2, 3]


def test_placements_that_are_not_in_the_table_are_not_tried(tmp_path):
    part = whole_table().iloc[:40]
    settings = config("search.trials=100", "search.sampler=random")
    study = replay(settings, Recorded.of_frame(part), tmp_path / "study")
    assert {t.placement for t in study.trials()} == set(part["placement"])


def test_other_seeds_see_other_noise():
    recorded = Recorded.of_frame(whole_table())
    placement = Placement.parse("CC-CC-CC")
    assert recorded.run(placement, 0)["accuracy"] == 0.5
    assert recorded.run(placement, 0, shift=1)["accuracy"] == 0.501
    assert recorded.run(placement, 1)["accuracy"] == 0.501
    assert recorded.run(placement, 2) is None


def test_objectives_that_the_table_lacks_are_left_out_aloud(tmp_path, capsys):
    settings = load_config("quickstart", ["search.trials=3"])
    table = whole_table().drop(columns="params")
    study = replay(settings, Recorded.of_frame(table), tmp_path / "study")
    assert [o.metric for o in study.objectives] == ["accuracy"]
    assert "macs" in capsys.readouterr().err
    with pytest.raises(InputError, match="none of the objectives accuracy; it has par"):
        replay(
            config(),
            Recorded.of_frame(whole_table().drop(columns="accuracy")),
            tmp_path / "other",
        )


def test_unusable_wishes_are_refused(tmp_path):
    recorded = Recorded.of_frame(whole_table())
    with pytest.raises(InputError, match="search.fidelity"):
        replay(config("search.fidelity={min_epochs: 1}"), recorded, tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_text("x")
    with pytest.raises(InputError, match="new directory"):
        replay(config(), recorded, tmp_path / "b")
    with pytest.raises(InputError, match="has metrics; the table has none"):
        Recorded.of_frame(whole_table()[["placement", "seed"]])


def test_the_configs_own_space_is_kept_to_where_it_fits():
    settings = config(
        "space={kind: per_stage_count, backbone: {block: basic, stem: cifar, "
        "depths: [2, 2, 2], widths: [8, 8, 8]}}"
    )
    space = recorded_space(settings.space, Recorded.of_frame(whole_table()))
    assert space.size == 8
    assert all(a.placement.letters[::2] == "CCC" for a in space.enumerate())


def test_the_build_up_waits_for_all_seeds_of_a_step():
    space = FreeSpace(Backbone("basic", "patch2", (2, 2), (4, 8)))
    design = BuildUpDesign(space, Objective("accuracy", "maximize"))
    parent = design.propose(())
    assert str(parent.placement) == "CC-CC"

    def trial(number, architecture, state, **metrics):
        placement = str(architecture.placement)
        return Trial(
            number, state, {}, placement, number, 1, metrics,
            architecture_id=architecture.id,
        )  # fmt: skip

    done = trial(0, parent, TrialState.COMPLETE, accuracy=0.5)
    assert design.propose([done, trial(1, parent, TrialState.RUNNING)]) is WAIT
    step = design.propose([done, trial(1, parent, TrialState.FAILED)])
    assert str(step.placement) == "CC-CM"
    worse = trial(2, step, TrialState.COMPLETE, accuracy=0.4)
    assert str(design.propose([done, worse]).placement) == "CM-CC"
    better = trial(2, step, TrialState.COMPLETE, accuracy=0.6)
    last = design.propose([done, better])
    assert str(last.placement) == "CM-CM"
    end = trial(3, last, TrialState.COMPLETE, accuracy=0.1)
    assert design.propose([done, better, end]) is None


def three_letters(depths=(2, 2), metric="accuracy"):
    """Every placement of C, M and P; the metric counts the last blocks that are P."""
    rows = []
    for letters in itertools.product("CMP", repeat=sum(depths)):
        text = iter(letters)
        stages = ["".join(next(text) for _ in range(depth)) for depth in depths]
        ends = sum(stage.endswith("P") for stage in stages)
        rows.append({"placement": "-".join(stages), metric: 0.5 + ends / 10, "macs": 7})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("depths", [(2, 1), (1, 1, 1), (3,)])
def test_a_table_of_other_letters_is_searched_with_them(tmp_path, depths):
    settings = config("search.trials=100", "search.sampler=random")
    table = three_letters(depths)
    study = replay(settings, Recorded.of_frame(table), tmp_path / "study")
    assert {t.placement for t in study.trials()} == set(table["placement"])


def test_letters_that_were_asked_for_are_kept_to_aloud(tmp_path, capsys):
    settings = config("search.trials=100", "search.sampler=random", "space.kinds=CP")
    recorded = Recorded.of_frame(three_letters())
    study = search(
        settings, tmp_path / "s", scorer=FromRecord(settings, table=recorded)
    )
    assert {letter for t in study.trials() for letter in t.placement} == set("CP-")
    assert "65 of the 81 placements of a table are not in" in capsys.readouterr().err


def test_the_letters_of_a_table_reach_a_space_of_its_depths():
    settings = config("space={backbone: {preset: tiny}}")
    depths = settings.space.make_backbone().depths
    text = "-".join("P" * depth for depth in depths)
    frame = pd.DataFrame({"placement": ["C" + text[1:]], "accuracy": [0.5]})
    settings = config("space={backbone: {preset: tiny}, strided_msas: true}")
    assert recorded_space(settings.space, Recorded.of_frame(frame)).size == 1


def test_many_short_stages_fit_the_stand_in():
    frame = pd.DataFrame({"placement": ["C-M-P-C-M-P-C-M"], "accuracy": [0.5]})
    assert recorded_space(config().space, Recorded.of_frame(frame)).size == 1


def test_anyones_column_is_an_objective_with_its_direction(tmp_path):
    table = tmp_path / "table.csv"
    three_letters(metric="test_acc").to_csv(table, index=False)
    changes = [f"scoring={{kind: recorded, table: {table}}}", "search.trials=30"]
    wish = "objectives=[{metric: test_acc, direction: maximize}]"
    study = search(
        load_config("quickstart", [*changes, wish]), tmp_path / "s", quiet=True
    )
    assert study.objectives == (Objective("test_acc", "maximize"),)
    with pytest.raises(InputError, match="unknown metric 'test_acc'.*a column of the"):
        search(
            load_config("quickstart", [*changes, "objectives=[test_acc]"]),
            tmp_path / "other",
            quiet=True,
        )


def test_costs_are_the_tables_and_not_the_stand_ins(tmp_path):
    from nas.prediction.prediction import predict

    settings = config("search.trials=12", "search.sampler=random")
    study = replay(settings, Recorded.of_frame(three_letters()), tmp_path / "study")
    found = predict(study).table
    assert set(found["macs"]) == {7.0} and "params" not in found


def test_a_replay_goes_on_from_another_directory(tmp_path, monkeypatch):
    from nas.cli import main

    three_letters((2, 1)).to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.chdir(tmp_path)
    line = "search --replay table.csv --out study --trials 3 --quiet --seed 1"
    with pytest.raises(SystemExit, match="0"):
        main(line.split())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(resume(tmp_path / "study", trials=5, quiet=True).trials()) == 5
