import numpy as np
import pytest
from rule_plants import free_design, placements
from scipy import stats

from nas.config import load_config
from nas.rule.power import DesignPower, detectable, power_of, power_of_search
from nas.sampling.balanced_designs import factorial_design
from search_spaces.placement import Placement


def test_power_is_that_of_the_noncentral_t():
    assert power_of(2.0, 0.7, 12) == pytest.approx(
        stats.nct.sf(stats.t.ppf(0.975, 12), 12, 2 / 0.7)
    )


def test_detectable_effect_has_the_power():
    effect = detectable(0.3, 20)
    assert power_of(effect, 0.3, 20) == pytest.approx(0.8)
    # Without end of degrees of freedom: 1.96 + 0.84 standard errors.
    assert detectable(1.0, 1e6) == pytest.approx(2.802, abs=1e-3)
    assert detectable(0.0, 5) == 0


def test_standard_error_of_a_full_factorial_is_known():
    # Orthogonal: each slot effect has variance 4 / n; last minus the mean of two others
    # 1.5 times that; averaged over two stages half of it.
    design = DesignPower.of(factorial_design((3, 3), 64))
    assert design.num_unknowns == 7
    assert design.standard_error == pytest.approx((1.5 * 4 / 64 / 2) ** 0.5)


def test_promised_power_is_kept():
    depths = (3, 3, 3)
    rng = np.random.default_rng(0)
    bits = free_design(rng, 40, depths)
    design = DesignPower.of(placements(bits, depths))
    regressors = np.column_stack([np.ones(40), bits])
    inverse = np.linalg.pinv(regressors)
    contrast = np.r_[0, np.tile([-0.5, -0.5, 1], 3) / 3]
    effect = design.detectable
    values = effect * bits[:, [2, 5, 8]].sum(axis=1) + rng.normal(size=(4000, 40))
    found = values @ (contrast @ inverse)
    rest = values - values @ inverse.T @ regressors.T
    errors = np.linalg.norm(contrast @ inverse) * np.sqrt((rest**2).sum(axis=1) / 30)
    power = (found / errors > stats.t.ppf(0.975, 30)).mean()
    assert power == pytest.approx(0.8, abs=0.03)


def test_trials_for_an_effect_are_the_first_that_suffice():
    design = DesignPower.of(factorial_design((3, 3), 64))
    needed = design.trials_for(1.0)
    spread = design.standard_error * 8
    assert power_of(1.0, spread / needed**0.5, needed - 7) >= 0.8
    assert power_of(1.0, spread / (needed - 1) ** 0.5, needed - 8) < 0.8
    assert design.trials_for(0.5) > needed
    assert "64 trials find an end-of-stage effect of" in str(design)


def test_a_design_that_cannot_tell_says_so():
    design = DesignPower.of([Placement.parse("CC-CC"), Placement.parse("CM-CC")])
    assert design.detectable is None and design.trials_for(1.0) is None
    assert "cannot measure" in str(design)


def test_the_power_of_a_search_is_known_before_it():
    changes = ["search.sampler=factorial", "search.trials=40", "search.replicates=2"]
    assert power_of_search(load_config("quickstart", changes)).num_trials == 20
    changes.append("search.replicate_first=8")
    assert power_of_search(load_config("quickstart", changes)).num_trials == 32
    assert power_of_search(load_config("quickstart", ["search.sampler=tpe"])) is None
