import numpy as np
import pytest
from rule_plants import at, free_design, placements

from nas.rule.letters import bits_of
from nas.rule.power import VerdictPower
from nas.rule.slot_layout import SlotLayout
from nas.rule.verdict import VerdictDesign
from nas.sampling.balanced_designs import factorial_design
from search_spaces.placement import Placement


def test_promised_power_is_kept():
    depths = (3, 4, 6, 3)
    rng = np.random.default_rng(1)
    bits = free_design(rng, 100, depths).astype(float)
    design = VerdictDesign(bits, SlotLayout(depths))
    promised = VerdictPower(design, seed=3)
    effect = promised.detectable
    responses = at("last", effect)(bits, depths)[:, None] + rng.normal(size=(100, 2000))
    assert design.judge(responses).share("supported") == pytest.approx(0.8, abs=0.04)
    assert promised.power(effect) == pytest.approx(0.8, abs=0.02)
    assert promised.power(0) < 0.03


def test_the_verdict_promises_less_than_its_interval():
    rng = np.random.default_rng(2)
    depths = (3, 3, 3)
    bits = free_design(rng, 64, depths).astype(float)
    design = VerdictDesign(bits, SlotLayout(depths))
    responses = at("last", 0.7)(bits, depths)[:, None] + rng.normal(size=(64, 1000))
    headline = design.judge(responses).headline
    interval = (headline.effects > headline.half_width(0.95)).mean()
    assert VerdictPower(design).power(0.7) < interval - 0.2


def test_further_letters_cost_power():
    letters = np.random.default_rng(4).choice(list("CMPS"), size=(120, 9))
    names = ["-".join("".join(part) for part in np.split(row, 3)) for row in letters]
    promised = VerdictPower.of(names)
    alone = VerdictPower(
        VerdictDesign((letters == "M").astype(float), SlotLayout((3, 3, 3)))
    )
    assert promised.power(1.0) < alone.power(1.0) - 0.1
    (own,), others = bits_of(letters, "M"), bits_of(letters, "PS")
    design = VerdictDesign(own, SlotLayout((3, 3, 3)), other_bits=others)
    noise = np.random.default_rng(5).normal(size=(120, 400))
    found = design.judge(1.5 * own[:, [2, 5, 8]].sum(axis=1, keepdims=True) + noise)
    assert found.share("supported") == pytest.approx(promised.power(1.5), abs=0.08)


def test_trials_for_an_effect_grow_with_its_inverse_square():
    power = VerdictPower.of(factorial_design((3, 3, 3), 64))
    assert power.trials_for(0.5) == pytest.approx(4 * power.trials_for(1.0), rel=0.02)
    assert "64 placements support an end-of-stage effect of" in str(power)
    larger = VerdictPower.of(factorial_design((3, 3, 3), power.trials_for(1.0)))
    assert larger.power(1.0) == pytest.approx(0.8, abs=0.1)


@pytest.mark.parametrize(
    ("placements_", "why"),
    [
        (["CC-CC", "CM-CC"], "cannot be estimated"),
        (factorial_design((2, 2, 2), 40), "only stage 1 has two blocks"),
        (factorial_design((3, 3), 10), "too few placements"),
    ],
)
def test_a_design_that_cannot_tell_says_so(placements_, why):
    power = VerdictPower.of([Placement.parse(str(one)) for one in placements_])
    assert power.detectable is None and power.trials_for(1.0) is None
    assert "can never support" in str(power) and why in str(power)


def test_the_same_seed_gives_the_same_power():
    names = placements(free_design(np.random.default_rng(4), 50, (3, 3)), (3, 3))
    assert VerdictPower.of(names).detectable == VerdictPower.of(names).detectable
