import math

import pytest

from nas.claims.quantities import first_over_last, quantities, stage_similarity


def blocks(*stages, drops=None):
    drops = drops or [0.0] * len(stages)
    return [
        {"stage": stage, "drop": drop, "drop_se": 0.1}
        for stage, drop in zip(stages, drops, strict=True)
    ]


def matrix(stages, within, across):
    return [[within if a == b else across for b in stages] for a in stages]


def test_block_structure_is_the_gap_at_equal_distance():
    stages = (1, 1, 2, 2)
    details = {"blocks": blocks(*stages), "cka": matrix(stages, 0.9, 0.4)}
    assert stage_similarity(details, 2)["cka_stages"].value == pytest.approx(0.5)


@pytest.mark.parametrize("stages", [(1, 1, 1, 2, 2, 2), (1, 1, 1, 1, 1, 1)])
def test_similarity_that_falls_with_distance_alone_is_no_block_structure(stages):
    cka = [[math.exp(-abs(a - b)) for b in range(6)] for a in range(6)]
    found = stage_similarity({"blocks": blocks(*stages), "cka": cka}, 3)
    assert found["cka_stages"].value == pytest.approx(0, abs=1e-12)


def test_one_block_a_stage_has_no_structure_to_measure():
    details = {"blocks": blocks(1, 2), "cka": matrix((1, 2), 1.0, 0.2)}
    assert stage_similarity(details, 2) == {}


def test_lesions_compare_first_and_last_of_each_stage_of_two_or_more():
    found = first_over_last(blocks(1, 2, 2, 3, 3, 3, drops=[9, 5, 1, 4, 0, 2]))
    value = found["lesion_first_over_last"]
    assert value.value == pytest.approx((4 + 2) / 2)
    assert value.error == pytest.approx(math.sqrt(4 * 0.01) / 2)
    assert first_over_last(blocks(1, 2)) == {}


def test_ratios_are_compared_on_the_logarithm_and_shares_of_what_there_was():
    found = quantities(
        {"ape": 20.0, "hessian_max": -1.0, "noise_drop_high": 0.2, "nep": 0.1,
         "test_accuracy": 0.7},
        {"ape": 2.0, "noise_drop_high": 0.04, "test_accuracy": 0.01},
        {"frequency_noise": {"clean_accuracy": 0.8}},
        3,
    )  # fmt: skip
    assert found["log_ape"].value == pytest.approx(math.log(20))
    assert found["log_ape"].error == pytest.approx(0.1)
    assert "log_hessian_max" not in found
    assert found["noise_share_high"].value == pytest.approx(0.25)
    assert found["noise_share_high"].error == pytest.approx(0.05)
    assert found["test_error"].value == pytest.approx(0.3)
    assert found["nep"].error == 0
