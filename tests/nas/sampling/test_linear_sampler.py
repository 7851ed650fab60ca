import pickle
import sys

import optuna
import pytest

from nas.sampling import linear_sampler
from nas.sampling.linear_sampler import LinearSampler
from nas.sampling.samplers import SamplerContext, create_sampler
from search_spaces.errors import InputError


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _letters(trial, num=8, letters="CMP"):
    return [trial.suggest_categorical(f"s1b{i + 1}", list(letters)) for i in range(num)]


def _goodness(letters):
    return sum((i + 1) * {"C": 0, "M": 1, "P": -1}[c] for i, c in enumerate(letters))


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_it_finds_the_best_placement_of_three_letters(direction):
    study = optuna.create_study(direction=direction, sampler=LinearSampler(seed=0))
    study.optimize(lambda trial: _goodness(_letters(trial)), n_trials=40)
    assert abs(study.best_value) == 36


def test_the_same_seed_gives_the_same_search_and_another_another():
    def search(seed):
        study = optuna.create_study(sampler=LinearSampler(seed=seed))
        study.optimize(lambda trial: _goodness(_letters(trial)), n_trials=15)
        return [trial.params for trial in study.trials]

    assert search(1) == search(1)
    assert search(1) != search(2)


def test_pending_trials_are_not_proposed_again():
    study = optuna.create_study(direction="maximize", sampler=LinearSampler(seed=0))
    for trial in (study.ask() for _ in range(5)):
        study.tell(trial, _goodness(_letters(trial, 4)))
    pending = [study.ask() for _ in range(20)]
    asked = [tuple(_letters(trial, 4)) for trial in pending]
    assert len(set(asked)) == 20
    known = {tuple(t.params.values()) for t in study.trials[:5]}
    assert not known & set(asked)


def test_another_process_learns_from_what_is_stored():
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(
        direction="maximize", storage=storage, sampler=LinearSampler(seed=0)
    )
    study.optimize(lambda trial: _goodness(_letters(trial)), n_trials=40)
    later = optuna.load_study(
        study_name=study.study_name, storage=storage, sampler=LinearSampler(seed=9)
    )
    trial = later.ask()
    assert _goodness(_letters(trial)) > 25


def test_failed_pruned_and_copied_trials_teach_nothing():
    study = optuna.create_study(direction="maximize", sampler=LinearSampler(seed=0))
    for number in range(60):
        trial = study.ask()
        value = _goodness(_letters(trial, 4, "CM"))
        if number % 3 == 1:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif number % 3 == 2:
            trial.set_user_attr("duplicate_of", 0)
            study.tell(trial, -1e9)
        else:
            study.tell(trial, value)
    assert study.best_value == 10


def test_constraints_and_two_objectives():
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=LinearSampler(seed=0)
    )
    allowed = []
    for _ in range(60):
        trial = study.ask()
        letters = _letters(trial, 6, "CM")
        count = letters.count("M")
        trial.set_constraint("count", count - 3)
        allowed.append(count <= 3)
        if allowed[-1]:
            study.tell(trial, [_goodness(letters), count])
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    assert sum(allowed[20:]) > sum(not one for one in allowed[20:])
    best = {int(t.values[1]): t.values[0] for t in study.best_trials}
    assert best[3] == 15
    assert best[1] == 6


def test_whole_numbers_other_names_reals_and_conditions_are_taken():
    study = optuna.create_study(direction="maximize", sampler=LinearSampler(seed=0))

    def objective(trial):
        count = trial.suggest_int("msas_s1", 0, 4)
        kind = trial.suggest_categorical("kind", ["a", None, 3])
        rate = trial.suggest_float("rate", 0, 1)
        heads = trial.suggest_int("heads", 1, 8) if count > 2 else 0
        return count + (kind == 3) + 0 * rate + 0 * heads

    study.optimize(objective, n_trials=25)
    assert study.best_value == 5


def test_it_is_registered_with_its_options():
    context = SamplerContext(None, (), 0, 10, options={"temperature": 0.1})
    assert isinstance(create_sampler("linear", context), LinearSampler)
    for options in ({"temperature": -1}, {"n_startup_trials": 0}, {"warmth": 1}):
        context = SamplerContext(None, (), 0, 10, options=options)
        with pytest.raises(InputError, match="linear"):
            create_sampler("linear", context)


def test_threads_share_one_sampler():
    """Both are inside at once where nothing keeps them apart; one then lost a trial."""
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        study = optuna.create_study(direction="maximize", sampler=LinearSampler(seed=0))
        study.optimize(lambda t: _goodness(_letters(t, 4, "CM")), n_trials=40, n_jobs=4)
    finally:
        sys.setswitchinterval(switch)
    assert len(study.trials) == 40 and study.best_value == 10


def test_a_second_study_is_learned_from_its_own_trials():
    """New studies in memory have one number, so that does not tell them apart."""
    sampler = LinearSampler(seed=0)
    for num, best in ((8, 36), (3, 6)):
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.optimize(lambda t, n=num: _goodness(_letters(t, n)), n_trials=40)
        assert study.best_value == best
    copy = pickle.loads(pickle.dumps(sampler))
    study.sampler = copy
    study.optimize(lambda trial: _goodness(_letters(trial, 3)), n_trials=1)


def test_long_lists_of_choices_are_drawn_at_random():
    """300 categories made 45,000 squares: a matrix of 16 GB."""
    study = optuna.create_study(direction="maximize", sampler=LinearSampler(seed=0))

    def objective(trial):
        long = trial.suggest_categorical("s2b1", [f"x{i}" for i in range(300)])
        return _goodness(_letters(trial, 3)) + 0 * len(long)

    study.optimize(objective, n_trials=20)
    assert study.best_value == 6
    assert len({trial.params["s2b1"] for trial in study.trials}) > 10


def test_an_infinite_value_teaches_nothing():
    """Optuna takes it for a value; in a sum it would swallow all the others."""

    def objective(trial):
        found = _goodness(_letters(trial))
        trial.set_constraint("c", float("inf") if trial.number == 3 else -1.0)
        return float("-inf") if trial.number in (2, 7) else found

    study = optuna.create_study(direction="maximize", sampler=LinearSampler(seed=0))
    study.optimize(objective, n_trials=40)
    assert study.best_value == 36


def test_slots_of_other_names_are_in_the_order_of_their_numbers():
    """Neighbours are neighbours: ``slot_10`` does not come after ``slot_1``."""
    choices = optuna.distributions.CategoricalDistribution(["C", "M"])
    names = [f"slot_{number}" for number in range(12)]
    slots = linear_sampler._Slots({name: choices for name in sorted(names)})
    assert slots._names == names
    mixed = {name: choices for name in ("b", "a2", "a10", "7", "a", "10")}
    assert linear_sampler._Slots(mixed)._names == ["7", "10", "a", "a2", "a10", "b"]
