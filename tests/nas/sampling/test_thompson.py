import numpy as np
import pytest

from nas.prediction.features import Features
from nas.prediction.slot_space import SlotSpace
from nas.sampling.thompson import Output, ThompsonProposer, _Score

SPACE = SlotSpace((3, 3), ("CMP",) * 6)
LARGE = SlotSpace((10, 10), ("CM",) * 20)


def _search(space, objectives, num, rng, constraints=None, **options):
    """Trainings of a search without noise: codes and their values."""
    size = objectives(np.zeros(len(space.letters), int)).size
    proposer = ThompsonProposer(space, size, rng, num_startup=3, **options)
    found = []
    for _ in range(num):
        code = proposer.propose()
        broken = constraints(code) if constraints else {}
        allowed = all(v <= 0 for v in broken.values())
        values = objectives(code)
        proposer.see(code)
        proposer.learn(code, values.tolist() if allowed else None, broken)
        found.append((code, values, allowed))
    return found


def test_the_mean_of_the_draws_is_the_ridge_solution_and_their_spread_its_covariance():
    rng = np.random.default_rng(0)
    features = Features(SPACE)
    output = Output(features)
    codes = SPACE.sample(rng, 60)
    designs = np.concatenate([np.ones((60, 1)), features(codes)], axis=1)
    values = designs @ rng.normal(size=designs.shape[1]) + rng.normal(size=60)
    for code, design, value in zip(codes, designs, values, strict=True):
        output.add(code, design, value)
    mean = output.draw(rng, 0.0)
    standard = (values - output._centre) / output._scale
    precision = designs.T @ designs / output._spread + np.diag(1 / output._prior)
    ridge = np.linalg.solve(precision, designs.T @ standard / output._spread)
    ridge *= output._scale
    ridge[0] += output._centre
    assert mean == pytest.approx(ridge)
    draws = np.array([output.draw(rng, 1.0) for _ in range(3000)])
    expected = np.sqrt(np.diag(np.linalg.inv(precision))) * output._scale
    assert draws.std(axis=0) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("space", [SPACE, LARGE])
def test_it_finds_the_best_of_an_additive_space(space):
    rng = np.random.default_rng(1)
    effects = [rng.normal(size=len(choices)) for choices in space.letters]
    best = sum(effect.max() for effect in effects)

    def objective(code):
        return np.array([sum(e[c] for e, c in zip(effects, code, strict=True))])

    found = _search(space, objective, 50, rng)
    assert max(values[0] for _, values, _ in found) == pytest.approx(best)
    assert len({tuple(code) for code, _, _ in found}) == 50


@pytest.mark.parametrize("space", [SPACE, LARGE])
def test_constraints_are_learned_from_what_was_refused(space):
    rng = np.random.default_rng(2)

    def objective(code):
        return np.array([float((code == 1).sum())])

    def bound(code):
        return {"count": float((code == 1).sum() - 2)}

    found = _search(space, objective, 60, rng, bound)
    late = found[30:]
    assert np.mean([allowed for _, _, allowed in late]) > 0.7
    assert max(v[0] for _, v, allowed in found if allowed) == 2


@pytest.mark.parametrize("space", [SPACE, LARGE])
def test_several_objectives_give_a_front_and_not_one_end_of_it(space):
    rng = np.random.default_rng(3)
    gain = rng.uniform(0.5, 2, len(space.letters))

    def objectives(code):
        chosen = (code == 1).astype(float)
        return np.array([chosen @ gain, -chosen.sum()])

    found = _search(space, objectives, 60, rng)
    true = [np.sort(gain)[::-1][:count].sum() for count in range(len(gain) + 1)]
    mine = [
        max((v[0] for _, v, _ in found if -v[1] <= count), default=0.0)
        for count in range(len(gain) + 1)
    ]
    # areas under the best gain for at most so many; the hypervolume
    assert sum(mine) > 0.85 * sum(true)
    assert len({-v[1] for _, v, _ in found}) >= 6


def test_an_exhausted_space_is_proposed_again():
    space = SlotSpace((2,), ("CM", "CM"))
    found = _search(space, lambda code: np.array([float(code.sum())]), 8,
                    np.random.default_rng(0))  # fmt: skip
    assert len({tuple(code) for code, _, _ in found[:4]}) == 4
    assert len(found) == 8


def test_a_failed_placement_may_come_again_and_a_constant_metric_is_survived():
    space = SlotSpace((2,), ("CM", "CM"))
    proposer = ThompsonProposer(space, 1, np.random.default_rng(0), num_startup=1)
    for _ in range(3):
        code = proposer.propose()
        proposer.see(code)
        proposer.learn(code, [0.5], {})
    last = proposer.propose()
    proposer.see(last)
    proposer.forget(last)
    assert (proposer.propose() == last).all()


def test_broken_bounds_come_after_everything_that_keeps_to_them():
    score = _Score(np.zeros(2), np.ones((1, 2)), np.zeros((1, 2)))
    values = np.array([[1.0, 2.0, 0.1], [9.0, 9.0, -0.1], [9.0, 9.0, -3.0]])
    assert np.argsort(-score(values)).tolist() == [0, 1, 2]
    assert score(values)[0] == 1.0  # the square of the shorter side


def test_a_training_after_the_fit_counts_as_if_all_had_been_solved_at_once():
    rng = np.random.default_rng(0)
    features = Features(SPACE)
    output = Output(features)
    codes = SPACE.sample(rng, 80)
    designs = np.column_stack([np.ones(80), features(codes)])
    values = codes[:, 0] - 2.0 * codes[:, 4] + rng.normal(0, 0.3, 80) + 5
    for number, (code, design) in enumerate(zip(codes, designs, strict=True)):
        output.add(code, design, float(values[number]))
        if number == 76:
            output.draw(rng, 1.0)  # fits the variances; three more come in after it
    assert output._num_updates == 3
    precision = designs.T @ designs / output._spread + np.diag(1 / output._prior)
    targets = (values - output._centre) / output._scale
    mean = np.linalg.solve(precision, designs.T @ targets / output._spread)
    mean *= output._scale
    mean[0] += output._centre
    assert output.draw(rng, 0.0) == pytest.approx(mean, abs=1e-9)
    lower = np.tril(output._covariance)
    assert lower == pytest.approx(np.tril(np.linalg.inv(precision)), abs=1e-9)
