"""The interval that is drawn holds zero exactly where the verdict says so."""

import dataclasses

import numpy as np
import pytest
from rule_plants import free_design, table

from nas.figures.rule import rule_figure
from nas.rule.effect import Effect
from nas.rule.rule_test import rule_test
from nas.rule.slot_layout import SlotLayout
from nas.rule.verdict import VerdictDesign
from nas.rule.verdict_interval import verdict_interval

EFFECT = Effect(effect=0.01, ci=(0, 0.02), p=0.05, standard_error=0.004, df=30.0)


@pytest.mark.parametrize(
    ("verdict", "level", "confidence"),
    [
        ("inconclusive", 0.05, 0.95),
        ("supported", 0.01, 0.99),
        ("negligible", 0.05, 0.90),
    ],
)
def test_its_coverage_is_that_of_the_verdict(verdict, level, confidence):
    from scipy import stats

    found = verdict_interval(EFFECT, level, verdict)
    low, high = stats.t.interval(confidence, 30, 0.01, 0.004)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.confidence == pytest.approx(confidence)
    assert found.name == f"{round(100 * confidence)}% interval"


def test_there_is_none_without_an_effect():
    assert verdict_interval(Effect(reason="none"), 0.05, "inconclusive") is None


def test_an_adaptive_search_is_drawn_with_the_wider_interval():
    rng = np.random.default_rng(0)
    bits = free_design(rng, 60, (3, 3))
    values = 0.35 * bits[:, [2, 5]].sum(axis=1) + rng.normal(size=60)
    plain = table(bits, values, (3, 3))
    adaptive = rule_test(dataclasses.replace(plain, sampling="adaptive"))
    (headline, *others) = rule_figure(adaptive).contrasts
    interval = adaptive.verdict_interval
    assert interval.confidence == pytest.approx(0.99)
    assert (headline.low, headline.high) == (interval.low, interval.high)
    assert headline.high - headline.low > np.ptp(adaptive.end_of_stage.ci)
    assert "99% interval, as the verdict" in rule_figure(adaptive).subtitle
    says_zero = "holds zero" in adaptive.reasons[0]
    assert says_zero == (interval.low <= 0 <= interval.high)
    assert adaptive.to_dict()["verdict_interval"]["confidence"] == pytest.approx(0.99)
    assert "as the verdict" not in rule_figure(rule_test(plain)).subtitle


def test_the_sentence_does_not_round_a_level_up_to_certainty():
    """Of ten exploratory metrics, each at 0.5%."""
    bits = free_design(np.random.default_rng(0), 60, (3, 3))
    design = VerdictDesign(bits, SlotLayout((3, 3)))
    responses = np.random.default_rng(1).normal(size=(60, 1))
    judged = design.judge(responses, level=0.005)
    assert judged.reasons_at(0)[0].startswith("the 99.5% interval of end of stage")
