from types import SimpleNamespace

import pytest
from known_trials import known_trial
from test_claims_plan import SMALL

from nas.claims import trained
from nas.claims.networks import ALTERNET, RESNET, compared
from nas.claims.plan import load_plan
from nas.claims.trained import few_config, read_trained
from nas.ledger.trial import TrialState
from search_spaces import InputError


class Runs:
    """A study whose trials are known."""

    def __init__(self, name, trials, tested):
        self.path = SimpleNamespace(name=name)
        self._trials, self._tested = trials, tested

    def trials(self):
        return self._trials

    def test_results(self):
        return self._tested

    def read_json(self, number, name):
        if number == 3:
            raise InputError("details.json of trial 3 is damaged")
        return {"frequency_noise": {"clean_accuracy": 0.5}}


def test_a_failed_training_is_told_and_the_others_are_read(tmp_path, monkeypatch):
    candidates = compared(*load_plan("quickstart", SMALL))
    ids = {one.label: one.architecture.id for one in candidates}

    def trial(number, label, seed, **fields):
        return known_trial(
            number, architecture_id=ids[label], seed=seed, nep=0.1, **fields
        )

    failed = {"state": TrialState.FAILED, "error": "DivergedError: the loss is nan"}
    full = Runs(
        "all_images",
        [
            trial(0, ALTERNET, 1, noise_drop_high=0.2),
            trial(1, ALTERNET, 0, **failed),
            trial(2, RESNET, 0, state=TrialState.FAILED, retried_as=3),
            trial(3, RESNET, 0),
            known_trial(4, architecture_id="another", nep=0.9),
        ],
        {0: SimpleNamespace(test_accuracy=0.75, test_accuracy_se=0.01)},
    )
    few = Runs("few_images", [trial(0, RESNET, 0, **failed)], {})
    studies = {"all_images": full, "few_images": few}
    monkeypatch.setattr(
        trained, "Study", SimpleNamespace(open=lambda path: studies[path.name])
    )
    found = read_trained(candidates, tmp_path)
    assert [(run.label, run.seed) for run in found.networks] == [
        (RESNET, 0),
        (ALTERNET, 1),
    ]
    assert found.few == ()
    assert found.failures == (
        f"all_images: {ALTERNET}, seed 0: DivergedError: the loss is nan",
        f"all_images: {RESNET}, seed 0: details.json of trial 3 is damaged",
        f"few_images: {RESNET}, seed 0: DivergedError: the loss is nan",
    )
    measured = found.measured()
    assert measured["noise_share_high"][ALTERNET][0].value == pytest.approx(0.4)
    assert measured["test_error"][ALTERNET][0].value == pytest.approx(0.25)
    assert "test_error_few" not in measured


def test_few_images_are_a_share_and_get_their_epochs():
    changes = ["claims.few_images=0.25", "claims.few_epochs=4", "training.epochs=2"]
    config, plan = load_plan("quickstart", [*SMALL, *changes])
    few = few_config(config, plan)
    from nas.data.datasets import load_dataset

    all_images = len(load_dataset(config.data).train)
    assert len(load_dataset(few.data).train) == round(0.25 * all_images)
    assert few.training.epochs == 8
    assert set(few.evaluators) == {"accuracy", "cost"}
