"""The published study reads as it did when it was published."""

import csv
from pathlib import Path

import pytest

import nas
from search_spaces import Architecture
from search_spaces.counting import count_params

STUDY = Path(__file__).parents[2] / "results" / "cifar10-placement"


@pytest.fixture(scope="module")
def study():
    return nas.Study(STUDY)


@pytest.fixture(scope="module")
def published():
    with (STUDY / "trials.csv").open(newline="", encoding="utf-8") as file:
        return {int(row["number"]): row for row in csv.DictReader(file)}


def test_every_cell_is_the_published_one(study, published):
    trials = [t for t in study.trials() if t.number in published]
    assert len(trials) == len(published) >= 160
    for trial in trials:
        row = published[trial.number]
        assert (trial.placement, str(trial.seed)) == (row["placement"], row["seed"])
        for name in ("accuracy", "macs", "params", "hessian_max"):
            if row[name]:
                assert trial.metrics[name] == pytest.approx(float(row[name]), rel=1e-12)


def test_every_recorded_id_and_size_is_computed_again(study):
    """Ids keep their version: a study of before there were kinds has no other ones."""
    seen = {}
    for trial in study.trials():
        architecture = Architecture.from_dict(dict(trial.architecture))
        assert architecture.id == trial.architecture_id
        assert str(architecture.placement) == trial.placement
        if trial.metrics:
            assert architecture.params == trial.metrics["params"]
            assert architecture.macs == trial.metrics["macs"]
        seen[architecture.id] = architecture
    assert len(seen) >= 136
    for architecture in list(seen.values())[::17]:
        assert count_params(architecture.build()) == architecture.params


def test_the_front_is_the_naive_one(study):
    trials = [t for t in study.trials() if str(t.state) == "complete"]
    names = [(o.metric, 1 if o.maximize else -1) for o in study.objectives]
    points = [[sign * t.metrics[name] for name, sign in names] for t in trials]

    def beaten(one):
        return any(
            all(a >= b for a, b in zip(other, one, strict=True)) and other != one
            for other in points
        )

    naive = {t.number for t, p in zip(trials, points, strict=True) if not beaten(p)}
    frame = study.table()
    assert set(frame[frame["is_pareto"]]["number"]) == naive


PUBLISHED_EFFECTS = (
    0.001390, -0.007773, -0.008065, -0.028734, -0.014509, -0.007347,
    -0.016263, -0.002875, 0.002044,
)  # fmt: skip
"""Accuracy, C to M, slot by slot: as first published (commit 1a81b91)."""


def test_slot_effects_are_the_published_ones(study):
    found = study.rule("accuracy")
    effects = [slot.effect.effect for slot in found.slots]
    assert effects == pytest.approx(PUBLISHED_EFFECTS, abs=1e-6)
    assert (found.num_placements, found.num_trials) == (136, 160)
