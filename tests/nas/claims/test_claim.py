import random

import pytest
import torch
from torch import nn

from evaluators.data import EvaluationData, ImageSet
from evaluators.loss.flatness import Flatness
from nas.claims.claim import Claim, Part, judge
from nas.claims.claims import CLAIMS
from nas.claims.contrast import Value
from nas.claims.networks import LABELS, RESNET, VIT
from nas.claims.quantities import quantities

UNITS = {part.quantity for claim in CLAIMS for part in claim.parts}


def noise(rng, shift=lambda quantity, label: 0.0, num_seeds=3):
    """Every quantity of every network, normal around a shift."""
    return {
        quantity: {
            label: [
                Value(rng.gauss(shift(quantity, label), 1.0), 0.1)
                for _ in range(num_seeds)
            ]
            for label in LABELS
        }
        for quantity in UNITS
    }


def verdicts(measured):
    return {r.claim.number: r.verdict for r in judge(CLAIMS, measured, {})}


def test_equal_networks_get_a_verdict_in_at_most_five_of_a_hundred_tables():
    rng = random.Random(0)
    wrong = 0
    for _ in range(150):
        words = verdicts(noise(rng))
        wrong += any(word != "cannot tell" for word in words.values())
    assert wrong / 150 < 0.05 + 3 * (0.05 * 0.95 / 150) ** 0.5


def test_identity_cannot_tell_whatever_the_noise():
    """A network against itself: the same trainings under two names."""
    part = Part("nep", "a minus a", {"a": 1.0, "b": -1.0}, 1, "fraction")
    claim = Claim(1, "it differs from itself", "", (part,), "")
    rng = random.Random(1)
    for _ in range(100):
        same = [Value(rng.random(), 0.01) for _ in range(3)]
        (result,) = judge([claim], {"nep": {"a": same, "b": same}}, {})
        assert result.verdict == "cannot tell"
        assert result.parts[0].contrast.estimate == 0


@pytest.mark.parametrize(("side", "word"), [(1, "holds"), (-1, "does not hold")])
@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS if c.parts], ids=lambda c: c.number
)
def test_every_claim_is_told_where_its_effect_is_planted(claim, side, word):
    rng = random.Random(claim.number)
    measured = {}
    for part in claim.parts:
        for label in part.weights:
            weight = sum(
                other.weights.get(label, 0.0)
                for other in claim.parts
                if other.quantity == part.quantity
            )
            centre = side * part.sign * 30.0 * weight
            measured.setdefault(part.quantity, {})[label] = [
                Value(rng.gauss(centre, 1.0), 0.1) for _ in range(3)
            ]
    (result,) = judge([claim], measured, {})
    assert result.verdict == word


def test_one_part_on_the_wrong_side_is_enough_to_fail_and_one_unsure_to_not_hold():
    parts = tuple(Part(name, name, {"a": 1.0}, 1, "") for name in ("first", "second"))
    claim = Claim(1, "both", "", parts, "")

    def word(first, second):
        measured = {
            "first": {"a": [Value(first + d) for d in (-0.1, 0.0, 0.1)]},
            "second": {"a": [Value(second + d) for d in (-0.1, 0.0, 0.1)]},
        }
        return judge([claim], measured, {})[0].verdict

    assert word(5, 5) == "holds"
    assert word(5, 0.05) == "cannot tell"
    assert word(5, -5) == "does not hold"


def test_a_network_that_was_not_trained_leaves_its_claims_open():
    measured = noise(random.Random(3), lambda *_: 0.0)
    for values in measured.values():
        values[VIT] = values[VIT][:1]
    results = judge(CLAIMS, measured, {7: ("holds", "a table")})
    assert results[0].verdict == "cannot tell"
    assert f"needs 2 or more trainings of {VIT}" in results[0].note
    assert (results[6].verdict, results[6].note, results[6].p) == (
        "holds",
        "a table",
        None,
    )


class Scaled(nn.Module):
    """x (W / a) (V a): the same function for every a.

    Its Hessian with respect to W grows with a squared, so the loss is as sharp as one
    likes while every prediction stays (Dinh et al., 2017).
    """

    def __init__(self, seed, scale):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(4, 6, generator=generator) / scale)
        self.second = nn.Parameter(torch.randn(6, 3, generator=generator) * scale)

    def forward(self, x):
        return x.flatten(1) @ self.first @ self.second


def test_networks_made_flat_and_sharp_with_equal_predictions():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(64, 1, 2, 2, generator=generator)
    split = ImageSet(
        images, torch.randint(0, 3, (64,), generator=generator), (0.5,), (1.0,)
    )
    data = EvaluationData(split, split)
    measured = {}
    for label, scale in ((VIT, 1.0), (RESNET, 8.0)):
        for seed in range(3):
            found = Flatness(batch_size=16, max_batches=4, top_k=2).evaluate(
                Scaled(seed, scale), data
            )
            metrics = {**found.metrics, "test_accuracy": 0.5 + 0.01 * seed}
            errors = {**found.standard_errors, "test_accuracy": 0.01}
            for name, value in quantities(metrics, errors, {}, 1).items():
                measured.setdefault(name, {}).setdefault(label, []).append(value)
    flat = Claim(1, "flat", "", CLAIMS[0].parts[:2], "")
    equal = Claim(2, "better", "", CLAIMS[8].parts[:1], "")
    results = judge([flat, equal], measured, {})
    assert [one.verdict for one in results] == ["holds", "cannot tell"]
    assert results[0].parts[0].contrast.estimate < -2
    sharp = {name: {RESNET: v[VIT], VIT: v[RESNET]} for name, v in measured.items()}
    assert judge([flat, equal], sharp, {})[0].verdict == "does not hold"
