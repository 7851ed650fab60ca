"""Plans that were registered before the first trial."""

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml

from nas.config import RuleConfig, load_config
from nas.rule.plan import RulePlan
from nas.rule.rule_test import rule_test
from nas.scoring.recorded import FromRecord, Recorded
from nas.search_run import search
from nas.study.study import Study
from search_spaces.errors import InputError

METRICS = ("accuracy", "nll", "ece", "brier", "sharpness")


@pytest.fixture(scope="module")
def recorded():
    rng = np.random.default_rng(0)
    rows = []
    for letters in itertools.product("CM", repeat=6):
        text = "".join(letters)
        ends = (text[2] == "M") + (text[5] == "M")
        rows.append(
            {
                "placement": f"{text[:3]}-{text[3:]}",
                "seed": 0,
                "accuracy": 0.5 + 0.1 * ends + 0.02 * rng.normal(),
                "nll": 2 - 0.009 * ends + 0.02 * rng.normal(),
                "ece": rng.normal(),
                "brier": rng.normal(),
                "sharpness": rng.normal(),
            }
        )
    return Recorded.of_frame(pd.DataFrame(rows))


def study_of(recorded, path, *changes):
    settings = load_config(
        "quickstart",
        ["objectives=[accuracy]", "search.sampler=factorial", "search.trials=64",
         *changes],
    )  # fmt: skip
    scorer = FromRecord(settings, table=recorded)
    return search(settings, path, quiet=True, scorer=scorer)


PLAN = "rule={metric: accuracy, smallest_effect: 0.01, trials: 64}"


def test_the_plan_is_written_with_its_hash(recorded, tmp_path):
    study = study_of(recorded, tmp_path / "study", PLAN)
    written = yaml.safe_load((study.path / "config.yaml").read_text())
    plan = {"metric": "accuracy", "smallest_effect": 0.01, "trials": 64}
    assert written["rule"] == plan
    assert written["study"]["rule_plan_hash"] == RuleConfig(**plan).digest()
    test = rule_test(study.path)
    assert test.verdict == "supported" and not test.exploratory
    assert test.smallest_effect == 0.01
    assert test.to_dict()["plan"]["unchanged"] is True


def test_other_metrics_are_exploratory_and_corrected(recorded, tmp_path):
    study = study_of(recorded, tmp_path / "study", PLAN)
    test = rule_test(study.path, "nll")
    assert test.exploratory
    alone = rule_test(study_of(recorded, tmp_path / "free").path, "nll")
    assert not alone.exploratory and alone.p_corrected is None
    assert test.end_of_stage.p == alone.end_of_stage.p
    # the smallest of the p-values of four exploratory metrics
    others = [rule_test(study.path, name).end_of_stage.p for name in METRICS[2:]]
    assert test.end_of_stage.p < min(others)
    assert test.p_corrected == pytest.approx(4 * test.end_of_stage.p)
    assert any("exploratory" in note and "Holm" in note for note in test.notes)


def test_a_changed_plan_is_seen(recorded, tmp_path):
    study = study_of(recorded, tmp_path / "study", PLAN)
    path = study.path / "config.yaml"
    path.write_text(
        path.read_text().replace("metric: accuracy\n  small", "metric: nll\n  small")
    )
    plan = RulePlan.of_study(Study.open(study.path))
    assert plan.metric == "nll" and not plan.unchanged
    for metric in ("nll", "accuracy"):
        test = rule_test(study.path, metric)
        assert test.exploratory and any("changed" in note for note in test.notes)


def test_a_plan_added_afterwards_is_no_plan(recorded, tmp_path):
    study = study_of(recorded, tmp_path / "study")
    path = study.path / "config.yaml"
    path.write_text(path.read_text().replace("rule: null", "rule: {metric: accuracy}"))
    assert rule_test(study.path).exploratory


def test_an_early_look_and_another_smallest_effect_are_told(recorded, tmp_path):
    plan = "rule={metric: accuracy, smallest_effect: 0.01}"
    early = study_of(recorded, tmp_path / "early", plan.replace("}", ", trials: 100}"))
    assert any("early look: 64 of the 100" in n for n in rule_test(early.path).notes)
    study = study_of(recorded, tmp_path / "study", plan)
    test = rule_test(study.path, smallest_effect=0.2)
    assert test.exploratory and test.smallest_effect == 0.2


def test_plans_are_checked():
    with pytest.raises(InputError, match="rule.trials"):
        load_config("quickstart", ["rule={trials: 0}"])
    with pytest.raises(InputError, match="unknown key 'rule.alpha'"):
        load_config("quickstart", ["rule={alpha: 0.1}"])
    with pytest.raises(InputError, match="smallest_effect"):
        load_config("quickstart", ["rule={smallest_effect: -1}"])
