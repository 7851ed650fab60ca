"""The best trial for each objective on its own."""

from known_trials import known_trial

from nas.ledger.trial import Objective, TrialState
from nas.study.best_so_far import best_so_far

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("params", "minimize"))


def test_the_best_of_each_objective_among_complete_trials():
    trials = [
        known_trial(0, accuracy=0.5, params=10),
        known_trial(1, accuracy=0.7, params=30),
        known_trial(2, accuracy=0.9, params=1, state=TrialState.PRUNED),
    ]
    best = best_so_far(trials, OBJECTIVES)
    assert (best["accuracy"].number, best["params"].number) == (1, 0)
    assert best_so_far(trials[2:], OBJECTIVES) == {}
