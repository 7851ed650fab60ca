import random
import time

import optuna
import pytest
from search_parts import (
    measured,
    new_ledger,
    plan,
    reopened,
    run_all,
    small_space,
)

from nas.ledger.cause import Cause
from nas.ledger.ledger import Proposal
from nas.ledger.trial import TrialState
from nas.sampling.design import WAIT, Design, fixed_sequence
from nas.sampling.proposer import Proposer
from nas.sampling.samplers import SAMPLERS
from search_spaces import Constraints

BUILT_IN = ("tpe", "nsga2", "random", "exhaustive")


@pytest.mark.parametrize("sampler", BUILT_IN)
def test_a_used_up_space_ends_the_search_with_each_placement_once(tmp_path, sampler):
    space = small_space(constraints=Constraints(max_msas=2))
    proposer = Proposer(
        ledger := new_ledger(tmp_path), plan(space, sampler=sampler, num_trials=1000)
    )
    done = run_all(ledger, proposer)
    assert sorted(p.architecture.id for p in done) == sorted(
        a.id for a in space.enumerate()
    )
    assert proposer.exhausted


@pytest.mark.parametrize("sampler", [*BUILT_IN, "gp"])
def test_constraints_known_beforehand_are_never_trained(tmp_path, sampler):
    space = small_space(constraints=Constraints(max_msas=1))
    proposer = Proposer(
        ledger := new_ledger(tmp_path), plan(space, sampler=sampler, num_trials=5)
    )
    done = run_all(ledger, proposer)
    assert len(done) == 5
    assert all(p.architecture.placement.num_msas <= 1 for p in done)


@pytest.mark.parametrize("sampler", BUILT_IN)
def test_the_same_seed_gives_the_same_table(tmp_path, sampler):
    tables = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        (tmp_path / name).mkdir()
        ledger = new_ledger(tmp_path / name)
        run_all(ledger, Proposer(ledger, plan(sampler=sampler, seed=seed)))
        tables.append([(t.placement, t.metrics["accuracy"]) for t in ledger.trials()])
    assert tables[0] == tables[1]
    if sampler != "exhaustive":
        assert [p for p, _ in tables[0]] != [p for p, _ in tables[2]]


@pytest.mark.parametrize("sampler", ["tpe", "random", "exhaustive"])
def test_a_relaunched_search_does_not_repeat_its_first_points(tmp_path, sampler):
    space = small_space()
    proposer = Proposer(
        ledger := new_ledger(tmp_path), plan(space, sampler=sampler, num_trials=6)
    )
    first = run_all(ledger, proposer)
    ledger = reopened(tmp_path)
    more = Proposer(ledger, plan(space, sampler=sampler, num_trials=12))
    second = run_all(ledger, more)
    assert len(second) == 6
    assert not {p.key for p in first} & {p.key for p in second}
    # Not even as proposals: at most a chance repetition among the twelve.
    assert ledger.num_rows <= 18


def test_replicates_have_their_own_seeds_and_follow_at_once(tmp_path):
    ledger = new_ledger(tmp_path)
    done = run_all(ledger, Proposer(ledger, plan(num_trials=6, replicates=3, seed=10)))
    assert [p.seed for p in done] == [10, 11, 12, 10, 11, 12]
    assert len({p.architecture.id for p in done}) == 2


def test_baselines_come_first_and_once(tmp_path):
    space = small_space()
    architectures = list(space.enumerate())
    baselines = {"plain": architectures[0], "late": architectures[3]}
    wanted = plan(space, num_trials=4, baselines=baselines)
    ledger = new_ledger(tmp_path)
    done = run_all(ledger, Proposer(ledger, wanted))
    assert [p.architecture.id for p in done[:2]] == [a.id for a in baselines.values()]
    assert [t.baseline for t in ledger.trials()] == ["plain", "late", None, None]
    after = reopened(tmp_path)
    assert run_all(after, Proposer(after, wanted)) == []


def test_a_baseline_outside_the_space_is_trained(tmp_path):
    outside = small_space(strided_msas=True)
    architecture = next(a for a in outside.enumerate() if str(a.placement) == "CCC-MCC")
    ledger = new_ledger(tmp_path)
    wanted = plan(num_trials=2, baselines={"early": architecture}, sampler="tpe")
    done = run_all(ledger, Proposer(ledger, wanted))
    assert done[0].architecture == architecture


def test_waits_while_trials_run_that_may_be_lost(tmp_path):
    ledger = new_ledger(tmp_path)
    proposer = Proposer(ledger, plan(num_trials=2))
    first, second = proposer.next(), proposer.next()
    assert proposer.next() is WAIT
    ledger.complete(first.number, measured(first.architecture))
    again = ledger.lose(second.number, "its node died", Cause.NODE)
    repeated = proposer.next()
    assert (repeated.number, repeated.retry_of) == (again, second.number)
    assert repeated.key == second.key
    ledger.complete(repeated.number, measured(repeated.architecture))
    assert proposer.next() is None
    assert not proposer.exhausted


def test_a_failed_trial_is_not_trained_again(tmp_path):
    space = small_space(constraints=Constraints(max_msas=1))
    ledger = new_ledger(tmp_path)
    done = run_all(
        ledger, Proposer(ledger, plan(space, num_trials=100)), train=lambda p: {}
    )
    assert len(done) == space.size
    assert {t.state for t in ledger.trials()} == {TrialState.FAILED}


def test_nothing_starts_after_the_deadline(tmp_path):
    ledger = new_ledger(tmp_path)
    proposer = Proposer(ledger, plan(num_trials=5, deadline=time.time() + 60))
    first = proposer.next()
    proposer._plan = plan(num_trials=5, deadline=time.time() - 1)
    assert proposer.next() is WAIT
    ledger.complete(first.number, measured(first.architecture))
    assert proposer.next() is None


def test_a_design_that_waits_gets_the_results(tmp_path, monkeypatch):
    space = small_space()
    architectures = list(space.enumerate())

    class BestSoFar(Design):
        """Two at once, then nothing until both are measured."""

        def propose(self, trials):
            if len(trials) < 2:
                return architectures[len(trials)]
            if any(t.state == TrialState.RUNNING for t in trials):
                return WAIT
            best = max(t.metrics["accuracy"] for t in trials)
            return architectures[-1] if best > 0 and len(trials) == 2 else None

    monkeypatch.setitem(SAMPLERS, "best_so_far", lambda context: BestSoFar())
    ledger = new_ledger(tmp_path)
    proposer = Proposer(ledger, plan(space, sampler="best_so_far"))
    one, two = proposer.next(), proposer.next()
    assert proposer.next() is WAIT
    ledger.complete(one.number, measured(one.architecture))
    assert proposer.next() is WAIT
    ledger.complete(two.number, measured(two.architecture))
    three = proposer.next()
    assert isinstance(three, Proposal)
    ledger.complete(three.number, measured(three.architecture))
    assert proposer.next() is None


def test_a_design_that_repeats_itself_is_helped_out(tmp_path, monkeypatch):
    space = small_space()
    same = next(iter(space.enumerate()))
    monkeypatch.setitem(
        SAMPLERS, "stuck", lambda context: fixed_sequence(same for _ in range(10**9))
    )
    ledger = new_ledger(tmp_path)
    done = run_all(ledger, Proposer(ledger, plan(space, sampler="stuck", num_trials=3)))
    assert len({p.architecture.id for p in done}) == 3


def test_the_sampler_learns_from_refused_and_repeated_proposals(tmp_path):
    space = small_space(constraints=Constraints(max_msas=2))
    ledger = new_ledger(tmp_path)
    run_all(ledger, Proposer(ledger, plan(space, sampler="random", num_trials=15)))
    rows = ledger.study.trials
    refused = [r for r in rows if "infeasible" in r.user_attrs]
    assert refused
    for row in refused:
        assert row.state == optuna.trial.TrialState.PRUNED
        assert row.constraints["max_msas"] > 0
        assert row.params
    for row in rows:
        assert "max_msas" in row.constraints


def test_a_large_space_is_not_enumerated_to_find_something_new(tmp_path, monkeypatch):
    space = small_space()
    monkeypatch.setattr("nas.sampling.proposer._ENUMERATED", 3)
    monkeypatch.setattr(
        type(space), "enumerate", lambda self: pytest.fail("enumerated")
    )
    ledger = new_ledger(tmp_path)
    proposer = Proposer(ledger, plan(space, num_trials=20))
    proposer._rng = random.Random(0)
    assert len(run_all(ledger, proposer)) == 20


@pytest.mark.parametrize(("large", "longest"), [(10**6, 20), (0, 3)])
def test_a_large_study_waits_for_fewer_repeats(tmp_path, monkeypatch, large, longest):
    """A sampler that proposes one architecture only."""
    space = small_space()
    only = next(iter(space.enumerate()))
    monkeypatch.setattr("nas.sampling.proposer._LARGE_STUDY", large)
    monkeypatch.setattr(type(space), "suggest", lambda self, trial: only)
    ledger = new_ledger(tmp_path)
    run_all(ledger, Proposer(ledger, plan(space, sampler="random", num_trials=4)))
    kinds = "".join("t" if row.is_trial else "r" for row in ledger._rows())
    assert max(map(len, kinds.split("t"))) == longest
