import optuna
import pytest

from nas.sampling import bounded_tpe
from nas.sampling.bounded_tpe import BoundedTPESampler, _Front, _Remembered


def search(sampler, num_trials):
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)

    def objective(trial):
        letters = [trial.suggest_categorical(f"b{i}", ["C", "M"]) for i in range(6)]
        count = letters.count("M")
        return count + 0.1 * (letters[-1] == "M"), count**2 + (letters[0] == "M")

    study.optimize(objective, n_trials=num_trials)
    return study


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def test_within_its_memory_it_is_optunas_sampler():
    ours = search(BoundedTPESampler(seed=1, multivariate=True), 40)
    theirs = search(optuna.samplers.TPESampler(seed=1, multivariate=True), 40)
    assert [t.params for t in ours.trials] == [t.params for t in theirs.trials]


def test_beyond_it_keeps_the_front_and_the_latest(monkeypatch):
    monkeypatch.setattr(bounded_tpe, "MEMORY", 10)
    study = search(BoundedTPESampler(seed=1, multivariate=True), 60)
    assert len(study.trials) == 60
    front = _Front()
    seen = _Remembered(study, front)._get_trials(deepcopy=False)
    numbers = [t.number for t in seen]
    assert numbers == sorted(set(numbers))
    assert numbers[-10:] == list(range(50, 60))
    # Of equal points one is kept: compare values, not numbers.
    assert {tuple(t.values) for t, _ in front.members.values()} == {
        tuple(t.values) for t in study.best_trials
    }
    best = {tuple(t.values) for t in study.best_trials}
    assert best <= {tuple(t.values) for t in seen}


def test_everything_else_of_the_study_is_there():
    study = search(BoundedTPESampler(seed=1, multivariate=True), 5)
    assert _Remembered(study, _Front()).directions == study.directions
