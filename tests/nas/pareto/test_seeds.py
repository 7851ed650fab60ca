import numpy as np
import pytest

from nas.pareto.seeds import average_seeds
from nas.pareto.table import ParetoTable


def runs(make_trial):
    """Two networks; the first has the luckiest run and the lower mean."""
    accuracies = {"CC-CM": (0.9, 0.5, 0.4), "CM-CC": (0.8, 0.7), "CC-CC": (0.3,)}
    number = 0
    trials = []
    for placement, found in accuracies.items():
        for seed, accuracy in enumerate(found):
            values = {"accuracy": accuracy, "params": 100.0, "number": number}
            trials.append(make_trial(placement=placement, seed=seed, **values))
            number += 1
    return trials


def test_means_and_their_errors_by_hand(make_trial):
    trials = runs(make_trial)
    merged, num_seeds = average_seeds(trials)
    assert num_seeds == [3, 2, 1]
    assert [trial.number for trial in merged] == [0, 3, 5]
    assert [t.metrics["accuracy"] for t in merged] == pytest.approx([0.6, 0.75, 0.3])
    expected = np.std([0.9, 0.5, 0.4], ddof=1) / np.sqrt(3)
    assert merged[0].standard_errors == {"accuracy": pytest.approx(expected)}
    assert merged[2] == trials[5]


def test_a_metric_that_one_run_lacks_has_no_mean(make_trial):
    trials = [
        make_trial(0, accuracy=0.5, nep=0.1),
        make_trial(1, accuracy=0.7, seed=1),
    ]
    (only,), _ = average_seeds(trials)
    assert set(only.metrics) == {"accuracy"}


def test_budgets_are_kept_apart(make_trial):
    trials = [make_trial(0, accuracy=0.5), make_trial(1, accuracy=0.7, epochs=9)]
    assert average_seeds(trials)[1] == [1, 1]


def test_the_lucky_run_is_off_the_front(make_study, make_trial):
    study = make_study(runs(make_trial))
    alone = ParetoTable.of(study)
    assert [row["placement"] for row in alone.rows() if row["is_pareto"]] == ["CC-CM"]
    mean = ParetoTable.of(study, mean_of_seeds=True)
    front = [row for row in mean.rows() if row["is_pareto"]]
    assert [(row["placement"], row["num_seeds"]) for row in front] == [("CM-CC", 2)]
    assert "seed" not in front[0]
    assert mean.summary()["num_trials"] == 3
