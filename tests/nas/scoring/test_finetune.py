"""Scorer ``finetune`` and ``parent.train``, against networks built and read alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from search_parts import write_parent

from nas.cli import main
from nas.config import config_from_dict
from nas.config.parent import ParentConfig
from nas.scoring import parent_search, training
from nas.scoring.block_library import LIBRARY_FILE
from nas.scoring.distilled import Distilled
from nas.scoring.finetune import FineTune, FineTuneOptions
from nas.scoring.parent_search import ParentSearch
from nas.scoring.parent_space import load_for_images
from nas.scoring.trial_network import trial_network
from nas.scoring.trial_run import TrialRun
from nas.search_run import resume, search
from nas.study.study import Study
from search_spaces import InputError, Placement

BACKBONE = {"block": "basic", "stem": "patch2", "depths": [2, 2], "widths": [8, 16]}


@pytest.fixture(scope="module")
def parent_directory(tmp_path_factory):
    return write_parent(tmp_path_factory.mktemp("parent"))


def settings(model=None, **changes):
    parent = {"library": {"epochs": 1, "images": 64, "batch_size": 32}}
    parent |= {"train": True} if model is None else {"model": str(model)}
    return {
        "data": {
            "name": "digits", "image_size": 16, "max_train": 96, "max_validation": 40,
        },
        "parent": parent,
        "scoring": {"kind": "finetune", "epochs": 2},
        "space": {
            "kinds": ["C", "CM"], "attention": {"heads": 1}, "backbone": BACKBONE,
        },
        "training": {"epochs": 1, "batch_size": 32, "warmup_epochs": 0.5},
        "search": {"sampler": "exhaustive", "trials": 2},
        **changes,
    }  # fmt: skip


def prepared(model, study, **changes):
    scorer = FineTune(config_from_dict(settings(model, **changes)), quiet=True)
    scorer.prepare(study)
    return scorer


def run_of(scorer, study, text, number=0, seed=0, **changes):
    directory = study / "trials" / str(number)
    directory.mkdir(parents=True, exist_ok=True)
    return TrialRun(
        number=number,
        architecture=scorer.space.architecture(Placement.parse(text)).to_dict(),
        seed=seed,
        epochs=scorer.epochs,
        directory=directory,
        checkpoint=study / "checkpoints" / f"{text}-{seed}.pt",
        settings=scorer.config,
        data=scorer.data,
        **changes,
    )


@pytest.mark.parametrize("replacement", ["library", "random"])
def test_a_candidate_starts_from_the_parent_and_the_blocks(
    parent_directory, tmp_path, replacement
):
    """With next to no learning rate the weights stay those it started from."""
    scoring = {
        "kind": "finetune",
        "epochs": 1,
        "learning_rate_factor": 1e-12,
        "replacement": replacement,
    }
    scorer = prepared(parent_directory, tmp_path, scoring=scoring)
    scorer.function(run_of(scorer, tmp_path, "CC-CM"))
    after = load_file(tmp_path / "trials" / "0" / "weights.safetensors")
    parent = load_file(parent_directory / "weights.safetensors")
    kept = [n for n in parent if "running" not in n and "num_batches" not in n]
    replaced = [name for name in after if name.startswith("stages.1.1.")]
    for name in set(kept) - set(replaced) & set(after):
        if not name.startswith("stages.1.1."):
            assert torch.allclose(after[name], parent[name], atol=1e-6), name
    # The blocks are those that the scores of this study are about.
    given = settings(parent_directory)
    given["scoring"] = {"kind": "distilled", "replacement": replacement}
    scores = Distilled(config_from_dict(given), quiet=True)
    scores.prepare(tmp_path)
    block = scores.blocks[2, 2, "M"].state_dict()
    for name, tensor in block.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(after[f"stages.1.1.{name}"], tensor, atol=1e-6), name


def test_a_library_is_not_what_was_drawn(parent_directory, tmp_path):
    found = {}
    for replacement in ("library", "random"):
        given = settings(parent_directory)
        given["scoring"] = {"kind": "distilled", "replacement": replacement}
        scorer = Distilled(config_from_dict(given), quiet=True)
        scorer.prepare(tmp_path)
        found[replacement] = scorer.blocks[2, 2, "M"].state_dict()
    assert any(
        not torch.equal(found["library"][name], found["random"][name])
        for name in found["random"]
    )


def test_all_candidates_see_the_same_images_in_the_same_order(
    parent_directory, tmp_path, monkeypatch
):
    seen = []
    real = training.functional.cross_entropy

    def listen(logits, targets, **options):
        if logits.requires_grad:
            seen[-1].append(targets.tolist())
        return real(logits, targets, **options)

    monkeypatch.setattr(training.functional, "cross_entropy", listen)
    scorer = prepared(parent_directory, tmp_path)
    for number, (text, seed) in enumerate((("CC-CC", 0), ("CC-CM", 0), ("CC-CM", 1))):
        seen.append([])
        scorer.function(run_of(scorer, tmp_path, text, number, seed))
    assert len({tuple(labels) for labels in seen[0]}) == 6  # 2 epochs of 3 batches
    assert seen[0] == seen[1] != seen[2]


def test_what_was_interrupted_ends_as_if_it_had_not_been(parent_directory, tmp_path):
    def kill(epoch):
        raise KeyboardInterrupt

    scorer = prepared(parent_directory, tmp_path)
    whole = scorer.function(run_of(scorer, tmp_path, "CC-CM", 0))
    broken = run_of(scorer, tmp_path, "CC-CM", 1, watch=kill)
    with pytest.raises(KeyboardInterrupt):
        scorer.function(broken)
    assert broken.checkpoint.is_file()
    again = scorer.function(run_of(scorer, tmp_path, "CC-CM", 2))
    assert again.metrics["nll"] == whole.metrics["nll"]


def test_the_recipe_of_a_fine_tuning():
    config = config_from_dict(
        {
            "training": {"recipe": "fast", "epochs": 10, "warmup_epochs": 2},
            "scoring": {"kind": "finetune", "epochs": 5, "learning_rate_factor": 0.5},
        }
    )
    recipe = FineTuneOptions.of(config).recipe(config.training)
    assert (recipe.epochs, recipe.warmup_epochs) == (5, 1)
    assert recipe.learning_rate == config.training.learning_rate / 2
    assert recipe.muon_learning_rate == config.training.muon_learning_rate / 2
    assert (config.training.stem_init, recipe.stem_init) == ("whitened", "random")


def test_a_parent_that_has_changed_is_not_fine_tuned(parent_directory, tmp_path):
    scoring = {"kind": "finetune", "replacement": "random"}
    scorer = prepared(parent_directory, tmp_path, scoring=scoring)
    run = run_of(scorer, tmp_path, "CC-CM")
    changed = {**settings(parent_directory, scoring=scoring)}
    other = tmp_path / "other.safetensors"
    weights = load_file(parent_directory / "weights.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, other)
    changed["parent"]["weights"] = str(other)
    second = FineTune(config_from_dict(changed), quiet=True)
    run = TrialRun(**{**vars(run), "settings": second.config})
    with pytest.raises(InputError, match="have changed since"):
        scorer.function(run)


@pytest.mark.slow
def test_a_whole_search_with_a_parent_that_it_trains(tmp_path, local_ray, capsys):
    """Interrupted after the parent, it goes on without training that again."""
    config = config_from_dict(settings(name="own"))
    out = tmp_path / "study"
    real = FineTune.prepare

    def stop(self, study):
        raise KeyboardInterrupt

    FineTune.prepare = stop
    try:
        with pytest.raises(KeyboardInterrupt):
            search(config, out, quiet=True)
    finally:
        FineTune.prepare = real
    parent = Study.open(out / "parent")
    (trained,) = parent.trials()
    assert (trained.scorer, trained.placement, trained.epochs) == (
        "scratch",
        "CC-CC",
        1,
    )
    study = resume(out, quiet=True)
    assert len(Study.open(out / "parent").trials()) == 1
    table = study.table()
    assert table["placement"].tolist() == ["CC-CC", "CC-CM"]
    assert set(table["scorer"]) == {"finetune"}
    assert set(table["state"]) == {"complete"}
    assert set(table["epochs"]) == {2}
    assert table["baseline"].tolist()[0] == "all_conv"
    assert (out / "library" / LIBRARY_FILE).is_file()
    assert len(study.test_results()) >= 1
    # With a library of another parent in its place nothing is begun.
    state = load_file(out / "library" / LIBRARY_FILE)
    save_file(
        state,
        out / "library" / LIBRARY_FILE,
        metadata={"format": "block-library/1", "parent": "0" * 16, "blocks": "{}"},
    )
    capsys.readouterr()
    assert run("resume", out, "--trials", 3, "--quiet") == 2
    error = capsys.readouterr().err
    assert "belongs to one parent" in error and error.count("\n") == 1
    assert len(Study.open(out).trials()) == 2


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(one) for one in arguments])
    return stop.value.code


OWN_NETWORK = """
from torch import nn
class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        )
    def forward(self, x):
        return self.layers(x) + x
def make():
    return nn.Sequential(
        nn.Conv2d(1, 8, 2, 2), Block(8), Block(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )
"""


@pytest.mark.slow
@pytest.mark.ray
def test_a_network_of_ones_own_beside_the_config_is_fine_tuned_and_tested(tmp_path):
    """As `nas` runs it, which does not have the current directory on its path."""
    (tmp_path / "beside.py").write_text(OWN_NETWORK)
    wanted = settings("beside:make", space={"kinds": "CM", "attention": {"heads": 1}})
    wanted["parent"]["slots"] = ["1", "2"]
    (tmp_path / "own.yaml").write_text(json.dumps(wanted))
    code = "import sys; sys.path.remove(''); from nas.start import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "search", "own.yaml", "--out", "study"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 0, done.stderr
    assert "test images were not looked at" not in done.stderr
    study = Study.open(tmp_path / "study")
    assert {t.state for t in study.trials()} == {"complete"}
    assert study.test_results()[0].placement == "CC"


@pytest.mark.slow
def test_train_on_the_command_line_means_scores_of_an_own_parent(
    tmp_path, local_ray, capsys
):
    given = settings()
    del given["scoring"], given["parent"]["train"]
    given["parent"]["library"]["epochs"] = 1
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({**given, "parent": None}))
    out = tmp_path / "study"
    small = ["--set", "parent.library.epochs=1", "--set", "parent.library.images=32"]
    arguments = [config, "--out", out, "--from", "train", "--quiet", *small]
    assert run("search", *arguments) == 0
    table = Study.open(out).table()
    assert set(table["scorer"]) == {"distilled"}
    own = table[table["placement"] == "CC-CC"].iloc[0]
    assert own["kl_to_parent"] == 0
    # The all-C score is that of the network which the search has trained.
    trained = Study.open(out / "parent").table().iloc[0]
    assert own["accuracy"] == pytest.approx(trained["accuracy"])
    capsys.readouterr()
    with_msa = int(table[table["placement"] == "CC-CM"]["number"].iloc[0])
    assert run("export", out, with_msa, "--to", tmp_path / "e") == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scoring": {"kind": "finetune", "epochs": 0}}, "scoring.epochs is a whole"),
        ({"scoring": {"kind": "finetune", "learning_rate_factor": 0}}, "above 0"),
        ({"scoring": {"kind": "finetune", "replacement": "best"}}, "library (blocks"),
        ({"scoring": {"kind": "finetune", "rate": 1}}, "unknown key 'scoring.rate'"),
        ({"parent": {"train": True, "model": "timm:resnet18"}}, "must be left out"),
        ({"parent": {}}, "or let the search train"),
        ({"parent": None}, "needs a trained CNN"),
        ({"space": {"kinds": "C", "backbone": BACKBONE}}, "replaces no block"),
        ({"resources": {"workers_per_trial": 2}}, "scoring.kind finetune it must be 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, change, message):
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({**settings(), **change}))
    assert run("search", config, "--out", tmp_path / "s", "--quiet") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()


def test_distill_says_that_a_parent_to_be_trained_is_not_its_business(tmp_path, capsys):
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps(settings()))
    assert run("distill", config, "--out", tmp_path / "l") == 2
    assert "trained by nas search" in capsys.readouterr().err


def test_scores_of_a_parent_that_the_search_trained_can_be_exported(
    parent_directory, tmp_path, monkeypatch, capsys
):
    """Its fingerprint was not known when the study began; the training is planted."""

    def trained(images, study):
        return load_for_images(ParentConfig(model=str(parent_directory)), images)

    monkeypatch.setattr(parent_search, "read_trained", trained)
    monkeypatch.setattr(ParentSearch, "steps", lambda self, study: iter(()))
    given = settings()
    given["scoring"] = {"kind": "distilled", "images": 30}
    out = tmp_path / "study"
    table = search(config_from_dict(given), out, quiet=True).table()
    assert "parent" not in Study.open(out).header
    assert table.set_index("placement").loc["CC-CC", "kl_to_parent"] == 0
    number = int(table.set_index("placement").loc["CC-CM", "number"])
    to = tmp_path / "exported"
    assert run("export", out, number, "--to", to, "--formats", "yaml,safetensors") == 0
    capsys.readouterr()
    parent = load_file(parent_directory / "weights.safetensors")
    first = next(iter(sorted(name for name in parent if name.startswith("stem"))))
    assert torch.equal(load_file(to / "model.safetensors")[first], parent[first])


def test_an_export_says_that_it_was_fine_tuned_and_how(parent_directory, tmp_path):
    scorer = prepared(parent_directory, tmp_path)
    scorer.function(run_of(scorer, tmp_path, "CC-CM"))
    study = SimpleNamespace(
        config=scorer.config,
        trial_directory=lambda number: tmp_path / "trials" / str(number),
        architecture=lambda number: scorer.space.architecture(Placement.parse("CC-CM")),
    )
    trial = SimpleNamespace(number=0, scorer=FineTune.name)
    found = trial_network(study, trial, scorer.dataset)
    assert found.made == (
        f"the trained parent {parent_directory} with blocks of its library in other "
        "slots, fine-tuned as a whole"
    )
    recipe = scorer.config.training
    assert found.training.learning_rate == pytest.approx(recipe.learning_rate / 6)
    assert found.training.epochs == 2  # of scoring, not of training
    assert found.num_images is None
