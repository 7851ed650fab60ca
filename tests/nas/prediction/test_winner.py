from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from prediction_plants import NINE, additive, table

from nas.ledger.trial import Objective
from nas.prediction.winner import judge_placements
from nas.study.study import Study


@dataclass
class TableStudy:
    frame: pd.DataFrame
    path: str = "planted"
    objectives: tuple = field(
        default_factory=lambda: (Objective("accuracy", "maximize"),)
    )

    def table(self):
        return self.frame

    def trials(self):
        return [SimpleNamespace(placement=name) for name in self.frame["placement"]]


def judge_winner(study):
    """The judgement of what measured best, ``None`` if nothing is judged."""
    found = judge_placements(study).values()
    return next((one for one in found if one.is_winner), None)


def _with_parent(truth, frame, rng, noise):
    parent = pd.DataFrame(
        {
            "placement": "CCC-CCC-CCC",
            "seed": [0, 1],
            "accuracy": truth["CCC-CCC-CCC"] + rng.normal(0, noise, 2),
        }
    )
    rest = frame[frame["placement"] != "CCC-CCC-CCC"]
    return pd.concat([rest, parent], ignore_index=True)


def test_a_lucky_winner_of_noise_is_not_told_from_the_parent():
    rng = np.random.default_rng(0)
    truth = additive(NINE, rng)[0] * 0.0
    frame = table(truth, rng, 60, 1.0, replicates=2)
    winner = judge_winner(TableStudy(_with_parent(truth, frame, rng, 1.0)))
    assert winner is not None
    assert winner.expected < winner.measured - 0.5
    assert winner.p_best < 0.5
    assert "cannot be told from the all-Conv parent" in winner.sentence()


def test_a_winner_that_is_truly_better_is_said_to_be():
    rng = np.random.default_rng(1)
    names = additive(NINE, rng)[0].index
    truth = pd.Series([float(name.count("M")) for name in names], names)
    frame = table(truth, rng, 60, 0.1, replicates=2)
    winner = judge_winner(TableStudy(_with_parent(truth, frame, rng, 0.1)))
    assert winner.p_better_than_parent > 0.99
    assert winner.low < truth[winner.placement] < winner.high
    assert "is better than the all-Conv parent" in winner.sentence()


def test_every_placement_is_judged_and_one_of_them_is_best():
    rng = np.random.default_rng(3)
    truth = additive(NINE, rng)[0]
    frame = _with_parent(truth, table(truth, rng, 60, 0.3, replicates=2), rng, 0.3)
    weakest = frame.groupby("placement")["accuracy"].mean().idxmin()
    found = judge_placements(TableStudy(frame), [weakest])
    assert set(found) == set(frame["placement"])
    assert sum(one.p_best for one in found.values()) == pytest.approx(1)
    assert [one.is_winner for one in found.values()].count(True) == 1
    assert found[weakest].p_better_than_parent is not None
    assert found["CCC-CCC-CCC"].p_better_than_parent is None
    inside = [one.low < truth[name] < one.high for name, one in found.items()]
    assert np.mean(inside) > 0.85
    columns = found[weakest].columns()
    assert columns["accuracy_low"] < columns["accuracy_expected"]
    assert "the best of the measured placements with" in found[weakest].sentence()


def test_too_few_trainings_are_not_judged():
    rng = np.random.default_rng(2)
    few = TableStudy(table(additive(NINE, rng)[0], rng, 8, 0.1))
    assert judge_winner(few) is None
    assert judge_placements(few) == {}


def test_the_published_winner_is_not_told_from_its_parent():
    winner = judge_winner(Study.open("results/cifar10-placement"))
    assert winner.expected < winner.measured
    assert winner.p_best == pytest.approx(0.1, abs=0.3)
    p = winner.p_better_than_parent
    assert p is None or p < 0.95


def test_a_front_does_not_wait_for_very_many(monkeypatch):
    rng = np.random.default_rng(5)
    study = TableStudy(table(additive(NINE, rng)[0], rng, 40, 0.1))
    assert judge_placements(study)
    monkeypatch.setattr("nas.prediction.winner.MAX_TRAINED", 39)
    assert judge_placements(study) == {}
