"""Tables of searches that came back to what looked good: no rival becomes the rule."""

import numpy as np
import pytest
from rule_plants import END, START, one_stage, table, times, together, trend
from scipy import stats

from nas.rule.rule_test import rule_test

DEPTHS = (3, 3, 3)

TRUTHS = {
    "nothing": times(0, END),
    "edges": together(END, START),
    "one stage": one_stage,
    "trend and edges": together(trend, END, START),
}


def neighbours_of_good(rng, bits, values):
    """One of the best quarter with a block or two changed."""
    best = np.argsort(values)[-max(3, len(values) // 4) :]
    child = bits[rng.choice(best)].copy()
    for slot in rng.integers(len(child), size=1 + (rng.random() < 0.3)):
        child[slot] = 1 - child[slot]
    return child


def copies_of_winner(rng, bits, values):
    """The winner so far, lucky or not, with each block changed at 15%."""
    flips = rng.random(bits.shape[1]) < 0.15
    return np.where(flips, 1 - bits[np.argmax(values)], bits[np.argmax(values)])


def searched(rng, plant, propose, num_rows, num_startup=10):
    """Ten random placements, then proposals that look at results; noise of 1 SD."""
    bits = rng.integers(0, 2, (num_startup, sum(DEPTHS)))
    values = plant(bits, DEPTHS) + rng.normal(size=num_startup)
    while len(bits) < num_rows:
        child = propose(rng, bits, values)[None]
        value = plant(child, DEPTHS) + rng.normal(size=1)
        bits, values = np.concatenate([bits, child]), np.append(values, value)
    return table(bits, values, DEPTHS)


@pytest.mark.parametrize("num_tables", [10, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("propose", [neighbours_of_good, copies_of_winner])
@pytest.mark.parametrize("truth", TRUTHS)
def test_a_search_does_not_make_a_rival_the_rule(truth, propose, num_tables):
    rng = np.random.default_rng(0)
    tests = [
        rule_test(searched(rng, TRUTHS[truth], propose, 120)) for _ in range(num_tables)
    ]
    allowed = stats.binom.ppf(0.999, num_tables, 0.05)
    for word in ("supported", "contradicted"):
        assert sum(test.verdict == word for test in tests) <= allowed
