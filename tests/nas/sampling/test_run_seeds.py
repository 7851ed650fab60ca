from collections import defaultdict

import pytest
from search_parts import new_ledger, plan, reopened, run_all, small_space

from nas.ledger.cause import Cause
from nas.sampling.baselines import baselines
from nas.sampling.proposer import Proposer
from nas.sampling.run_seeds import RunSeeds, split_seed_of


def finished(directory, **options):
    ledger = new_ledger(directory)
    run_all(ledger, Proposer(ledger, plan(**options)))
    return ledger.trials()


def test_a_split_seed_depends_on_the_study_and_the_group_alone():
    assert split_seed_of(0, "a") == split_seed_of(0, "a")
    found = {split_seed_of(base, group) for base in range(9) for group in "abcdef"}
    assert len(found) == 54 and all(0 <= seed < 2**31 for seed in found)


def test_replicates_vary_what_is_asked_for():
    assert RunSeeds(3).replicate(2) == RunSeeds(5, None)
    assert RunSeeds(3, 10).replicate(2) == RunSeeds(5, 12)
    assert RunSeeds(3, 10).replicate(2, vary_seed=False) == RunSeeds(3, 12)


@pytest.mark.parametrize("sampler", ["random", "tpe", "uniform"])
def test_without_split_no_trial_has_a_split_of_its_own(tmp_path, sampler):
    trials = finished(tmp_path, sampler=sampler, num_trials=8, replicates=2)
    assert {trial.split_seed for trial in trials} == {None}


@pytest.mark.parametrize("sampler", ["random", "tpe", "uniform"])
@pytest.mark.parametrize("vary_seed", [True, False])
def test_every_run_draws_a_split_of_its_own(tmp_path, sampler, vary_seed):
    trials = finished(
        tmp_path,
        sampler=sampler,
        num_trials=12,
        replicates=3,
        split_seed=0,
        vary_seed=vary_seed,
    )
    assert len({trial.split_seed for trial in trials}) == 12
    by_placement = defaultdict(list)
    for trial in trials:
        by_placement[trial.placement].append(trial)
    assert {len(found) for found in by_placement.values()} == {3}
    for found in by_placement.values():
        seeds = [trial.seed for trial in found]
        assert seeds == ([0, 1, 2] if vary_seed else [0, 0, 0])


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_swap_block_has_one_split_and_no_two_blocks_the_same(tmp_path, replicates):
    space = small_space()
    trials = finished(
        tmp_path,
        space=space,
        sampler="swaps",
        num_trials=15 * replicates,
        split_seed=0,
        replicates=replicates,
        baselines=baselines(space),
    )
    swapped = [trial for trial in trials if trial.baseline is None]
    splits = defaultdict(set)
    for trial in swapped:
        splits[trial.split_seed].add(trial.placement)
    whole = [found for found in splits.values() if len(found) > 1]
    assert len(whole) >= 3
    for found in whole:  # one MSA of one stage in another place, the rest equal
        first, *others = (text.split("-") for text in sorted(found))
        for other in others:
            differ = [
                a != b for a, b in zip("".join(first), "".join(other), strict=True)
            ]
            assert sum(differ) == 2
            assert sum(a != b for a, b in zip(first, other, strict=True)) == 1
    alone = [trial.split_seed for trial in trials if trial.baseline is not None]
    assert len(set(alone)) == len(alone)


@pytest.mark.parametrize("sampler", ["swaps", "random"])
@pytest.mark.parametrize("vary_seed", [True, False])
def test_a_resumed_search_draws_the_same_splits(tmp_path, sampler, vary_seed):
    space = small_space()
    options = {
        "space": space,
        "sampler": sampler,
        "split_seed": 4,
        "replicates": 2,
        "vary_seed": vary_seed,
        "baselines": baselines(space),
    }
    (tmp_path / "whole").mkdir()
    whole = finished(tmp_path / "whole", num_trials=20, **options)
    ledger = new_ledger(tmp_path)
    run_all(ledger, Proposer(ledger, plan(num_trials=7, **options)))
    ledger = reopened(tmp_path)
    run_all(ledger, Proposer(ledger, plan(num_trials=20, **options)))
    keys = [(t.placement, t.seed, t.split_seed) for t in ledger.trials()]
    assert len(set(keys)) == len(keys) == 20
    if sampler == "swaps":
        assert sorted(keys) == sorted(
            (t.placement, t.seed, t.split_seed) for t in whole
        )


def test_a_lost_trial_is_repeated_on_its_split(tmp_path):
    ledger = new_ledger(tmp_path)
    proposer = Proposer(ledger, plan(split_seed=0))
    lost = proposer.next()
    again = ledger.lose(lost.number, "gone", Cause.NODE)
    assert ledger.trial(again).split_seed == lost.split_seed is not None
    assert ledger.find(lost.key) == again
