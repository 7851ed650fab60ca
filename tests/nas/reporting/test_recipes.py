from nas.reporting import recipes
from nas.reporting.recipes import HOLE, architecture_texts
from search_spaces import Architecture


def test_every_text_is_the_architecture_file(trained_study):
    trials = trained_study.trials()
    found = architecture_texts(trials)
    assert len(found["texts"]) < len(trials)  # shared
    for trial, at in zip(trials, found["of"], strict=True):
        text = found["texts"][at].replace(HOLE, trial.placement)
        architecture = Architecture.from_dict(dict(trial.architecture))
        assert Architecture.from_yaml(text).id == architecture.id
        assert Architecture.from_yaml(text).to_dict() == architecture.to_dict()


def test_a_trial_without_an_architecture_has_none(make_trial):
    assert architecture_texts([make_trial(0)]) == {"texts": [], "of": [-1]}


def test_too_many_different_texts_are_left_out(make_trial, monkeypatch):
    monkeypatch.setattr(recipes, "MAX_TEXT", 1_000)
    trials = [make_trial(n, architecture={"a": str(n) * 400}) for n in range(3)]
    assert architecture_texts(trials) == {"texts": [], "of": []}
