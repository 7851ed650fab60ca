"""Planted learning curves: end effects that change their sign, and others."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner
from rule_plants import free_design

from nas.commands.rule import command
from nas.config import config_from_dict
from nas.figures.rule_budgets import to_matplotlib
from nas.rule.budgets import budget_effects, sign_change
from nas.rule.effect import Effect
from nas.rule.placement_table import PlacementTable
from nas.rule.slot_regression import Estimate
from nas.study.study import Study
from search_spaces.errors import InputError

DEPTHS = (3, 3)
ENDS = [2, 5]


def planted(path, make_study, make_trial, effect_at, num_trials=60, **sampling):
    """A study whose last slots add ``effect_at[e]`` after epoch e + 1."""
    rng = np.random.default_rng(0)
    bits = free_design(rng, num_trials, DEPTHS)
    trials = []
    for number, row in enumerate(bits):
        text = "".join("CM"[b] for b in row)
        luck = rng.normal(0, 0.01)  # of the trial, at every epoch
        curve = [
            0.3 + 0.05 * epoch + effect * row[ENDS].sum() + luck + rng.normal(0, 0.005)
            for epoch, effect in enumerate(effect_at)
        ]
        trials.append(
            make_trial(number, f"{text[:3]}-{text[3:]}", epochs=len(curve),
                        seed=number, accuracy=curve[-1])
        )  # fmt: skip
        directory = path / "trials" / str(number)
        directory.mkdir(parents=True)
        lines = [f"{e},{1 - v},{v}" for e, v in enumerate(curve, 1)]
        (directory / "history.csv").write_text(
            "\n".join(["epoch,val_loss,val_accuracy", *lines, ""])
        )
    study = make_study(trials)
    search = {"sampler": "uniform", **sampling}
    config = config_from_dict({"search": search})
    return dataclasses.replace(study, path=path, config=config)


@pytest.fixture
def plant(tmp_path, make_study, make_trial):
    def make(effect_at, **options):
        return planted(tmp_path, make_study, make_trial, effect_at, **options)

    return make


def test_an_effect_that_turns_round_is_found(plant):
    truth = [-0.03, -0.02, 0.0, 0.02, 0.03]
    found = budget_effects(plant(truth))
    assert list(found.effects) == [1, 2, 3, 4, 5]
    for planted_effect, effect in zip(truth, found.effects.values(), strict=True):
        low, high = effect.ci
        assert low - 0.003 < planted_effect < high + 0.003
    assert found.sign.changes is True and found.sign.p < 0.001
    assert found.sign.above_at in (4, 5) and found.sign.below_at in (1, 2)
    # the luck of a trial is in both epochs and leaves the difference
    assert found.change.effect == pytest.approx(0.06, abs=0.006)
    assert found.change.standard_error < found.effects[5].standard_error
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert "its sign changes" in to_matplotlib(found)._suptitle.get_text()


def test_an_effect_that_grows_does_not_change_its_sign(plant):
    found = budget_effects(plant([0.015, 0.02, 0.025, 0.03, 0.04]))
    assert found.sign.changes is False and found.sign.p > 0.5
    assert found.change.ci[0] > 0


def test_the_last_budget_is_the_rule_test_of_the_study(plant):
    from nas.rule.rule_test import rule_test

    study = plant([0.0, 0.02])
    assert (
        budget_effects(study).effects[2]
        == rule_test(PlacementTable.of_study(study)).end_of_stage
    )


def test_no_effect_is_seldom_taken_for_a_change():
    """Of true effects of zero at every budget, independent ones: the worst case."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        values = rng.normal(size=6)
        effects = {
            epochs: Effect.of(Estimate(float(value), 1.0, 1e9))
            for epochs, value in enumerate(values, 1)
        }
        hits += sign_change(effects).changes is True
    assert hits / 2000 <= 0.05


def test_an_effect_that_only_falls_to_zero_is_no_change():
    """One side is certain; the other has to be shown at its own level."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        values = [9.0, *rng.normal(size=5)]
        effects = {
            epochs: Effect.of(Estimate(float(value), 1.0, 1e9))
            for epochs, value in enumerate(values, 1)
        }
        hits += sign_change(effects).changes is True
    assert 0.02 < hits / 2000 < 0.065  # at the level: 5% of 2000, three errors


def test_effects_without_an_interval_show_nothing():
    none = sign_change({1: Effect(reason="none"), 2: Effect(reason="none")})
    assert none.changes is None and none.p is None
    one = Effect.of(Estimate(9.0, 1.0, 50.0))
    assert sign_change({1: Effect(reason="none"), 2: one}).changes is None


def test_long_curves_are_read_at_a_few_budgets(plant):
    found = budget_effects(plant([0.01] * 64, num_trials=24))
    assert list(found.effects) == [1, 2, 3, 6, 11, 20, 35, 64]


def test_damaged_curves_are_left_out_and_told(plant):
    study = plant([0.02, 0.02, 0.02])
    (study.trial_directory(3) / "history.csv").unlink()
    half = study.trial_directory(4) / "history.csv"
    half.write_text("\n".join(half.read_text().splitlines()[:3]))
    gap = study.trial_directory(5) / "history.csv"
    lines = gap.read_text().splitlines()
    gap.write_text("\n".join([lines[0], "1,nan,nan", *lines[2:]]))
    found = budget_effects(study)
    assert found.num_trials == 57 and list(found.effects) == [1, 2, 3]
    assert any(note.startswith("3 complete trials") for note in found.notes)


def test_an_adaptive_search_is_read_as_its_rule_test_reads_it(plant):
    found = budget_effects(plant([0.02, 0.02], sampler="tpe", trials=60))
    assert found.sampling == "adaptive"
    assert any("the sampler looked at results" in note for note in found.notes)


def test_what_has_no_curve_is_refused(plant, tmp_path):
    study = plant([0.02, 0.02])
    with pytest.raises(InputError, match="kept of accuracy and nll, got 'ece'"):
        budget_effects(study, "ece")
    for number in range(60):
        (study.trial_directory(number) / "history.csv").unlink()
    with pytest.raises(InputError, match="keeps no learning curve"):
        budget_effects(study)
    with pytest.raises(InputError, match="study directory, got"):
        budget_effects(tmp_path / "trials.csv")


def test_the_command_reads_a_real_study(published_copy, tmp_path):
    def run(*options):
        return CliRunner().invoke(command, [str(published_copy), "--budgets", *options],
                                  catch_exceptions=False)  # fmt: skip

    with pytest.raises(InputError, match="keeps no learning curve"):
        run()  # the published study is without its trials' files
    rng = np.random.default_rng(0)
    for trial in Study.open(published_copy).trials():
        ends = sum(stage.endswith("M") for stage in trial.placement.split("-"))
        directory = published_copy / "trials" / str(trial.number)
        directory.mkdir(parents=True)
        values = 0.5 + np.array([-0.02, 0, 0, 0, 0.02]) * ends + rng.normal(0, 0.01, 5)
        lines = [f"{e},{v}" for e, v in enumerate(values, 1)]
        text = "\n".join(["epoch,val_accuracy", *lines])
        (directory / "history.csv").write_text(text)
    picture = tmp_path / "budgets.png"
    result = run("--format", "json", "--plot", str(picture))
    found = json.loads(result.stdout)
    assert [one["epochs"] for one in found["end_of_stage"]] == [1, 2, 3, 4, 5]
    assert found["sign"]["changes"] is True and picture.stat().st_size > 5000
    assert "Change of sign: its sign changes" in run().output
    with pytest.raises(InputError, match="--smallest-effect"):
        run("--smallest-effect", "0.1")


def test_with_a_plan_all_but_its_metric_at_its_budget_is_exploratory(plant):
    plain = budget_effects(plant([0.0, 0.02, 0.04]))
    record = dataclasses.replace(plain, has_plan=True, planned=3).to_dict()
    said = [one["exploratory"] for one in record["end_of_stage"]]
    assert said == [True, True, False]
    assert record["exploratory"] and record["planned_epochs"] == 3
    without = plain.to_dict()
    assert not without["exploratory"]
    assert not any(one["exploratory"] for one in without["end_of_stage"])
