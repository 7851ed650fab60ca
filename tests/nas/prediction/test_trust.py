import numpy as np
import pytest
from scipy import stats

from nas.prediction.trust import (
    Ceiling,
    RankAgreement,
    Trust,
    _bootstrap,
    agreement_within,
    rank_agreement,
)


def _trust(tau, low, trivial=0.3, ceiling=True):
    return Trust(
        RankAgreement(tau, low, tau + 0.1, tau),
        0.95,
        Ceiling(0.7, 0.6, 0.8, 0.88, 0.8) if ceiling else None,
        {"the number of M": RankAgreement(-trivial, -0.5, 0.1, -trivial)},
        None,
        None,
    )


@pytest.mark.parametrize(
    ("trust", "said"),
    [
        (_trust(0.6, 0.5), "the number of M alone reaches 0.30"),
        (_trust(0.6, 0.5), "seed noise allows 0.70"),
        (_trust(0.05, -0.1), "Do not trust the order"),
        (_trust(0.4, 0.3, trivial=0.5), "no more than that by the number of M"),
        (_trust(0.6, 0.5, ceiling=False), "no placement was trained twice"),
    ],
)
def test_one_sentence_says_how_far_to_trust(trust, said):
    assert said in trust.sentence()
    assert trust.sentence().endswith(".")


def test_the_bootstrap_over_all_pairs_is_that_of_resampled_rows():
    rng = np.random.default_rng(0)
    left = rng.integers(0, 6, 50).astype(float)  # with ties
    right = left + rng.integers(0, 6, 50)
    fast = _bootstrap(left, right, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    weights = rng.multinomial(50, np.full(50, 1 / 50), 400)
    rows = [np.repeat(np.arange(50), one) for one in weights]
    slow = [stats.kendalltau(left[one], right[one])[0] for one in rows]
    assert fast == pytest.approx(np.array(slow))


def test_rank_agreement_is_scipys_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    left = rng.normal(size=60)
    right = left + rng.normal(size=60)
    found = rank_agreement(left, right, rng)
    assert found.kendall == pytest.approx(stats.kendalltau(left, right)[0])
    assert found.spearman == pytest.approx(stats.spearmanr(left, right)[0])
    assert found.kendall_low < found.kendall < found.kendall_high
    assert rank_agreement(np.ones(5), np.arange(5.0), rng).kendall == 0


def test_agreement_within_groups_is_that_of_pairs_of_one_group():
    from itertools import combinations

    rng = np.random.default_rng(4)
    left, right = rng.normal(size=30), rng.integers(0, 5, 30).astype(float)
    groups = [int(one) for one in rng.integers(0, 4, 30)]
    left += 10 * np.array(groups)  # what is between groups must not count
    right += 10 * np.array(groups)
    found = agreement_within(left, right, groups, np.random.default_rng(0))
    pairs = [p for p in combinations(range(30), 2) if groups[p[0]] == groups[p[1]]]
    signs = np.array(
        [(np.sign(left[a] - left[b]), np.sign(right[a] - right[b])) for a, b in pairs]
    )
    tau = (signs[:, 0] * signs[:, 1]).sum() / np.sqrt((signs**2).sum(axis=0).prod())
    assert found.kendall == pytest.approx(tau)
    assert found.kendall_low < tau < found.kendall_high
    assert abs(tau) < 0.5 < rank_agreement(left, right, rng).kendall
    one = agreement_within(left, right, [0] * 30, np.random.default_rng(0))
    all_rows = rank_agreement(left, right, np.random.default_rng(0))
    assert one.kendall == pytest.approx(all_rows.kendall)
    assert one.spearman == pytest.approx(all_rows.spearman)
    assert agreement_within(left, right, range(30), rng) is None
