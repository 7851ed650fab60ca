"""Scorer ``two_step``: what is fine-tuned, why, and what is left of it in the table."""

import json

import numpy as np
import pytest
from search_parts import write_parent

from nas.cli import main
from nas.config import config_from_dict
from nas.ledger.trial import Objective, TrialState
from nas.prediction.score_agreement import score_agreement
from nas.rule.placement_table import PlacementTable
from nas.scoring.block_library import LIBRARY_FILE
from nas.scoring.distilled import Distilled
from nas.scoring.two_step import TwoStep, promising_part, random_part
from nas.search_run import resume, search
from nas.study.study import Study
from search_spaces import Attention, Backbone, Placement
from search_spaces.spaces.free_space import FreeSpace

SPACE = FreeSpace(
    Backbone("basic", "patch2", (3, 3), (8, 16)),
    Attention(heads=1, size="matched"),
    num_classes=10,
    in_channels=1,
    image_size=16,
)
ALL_CONV = SPACE.architecture(Placement.parse("CCC-CCC"))


def test_the_random_part_is_balanced_and_follows_from_the_seed_alone():
    drawn = random_part(SPACE, 16, seed=3)
    assert [a.id for a in drawn] == [a.id for a in random_part(SPACE, 16, seed=3)]
    assert [a.id for a in drawn] != [a.id for a in random_part(SPACE, 16, seed=4)]
    assert len({a.id for a in drawn}) == 16
    assert ALL_CONV.id not in {a.id for a in drawn}
    letters = np.array([[c == "M" for c in a.placement.letters] for a in drawn])
    free = letters.any(axis=0)
    assert free.sum() == 5  # the strided first block of stage 2 stays
    assert (np.abs(letters[:, free].mean(axis=0) - 0.5) < 0.2).all()
    assert len(random_part(SPACE, 1000, seed=0)) == SPACE.size - 1


class Scores:
    """A study of scores in memory."""

    objectives = (Objective("accuracy", "maximize"), Objective("macs", "minimize"))

    def __init__(self, make_trial, values):
        self._trials = [
            make_trial(
                number,
                str(architecture.placement),
                state=TrialState.COMPLETE,
                metrics={"accuracy": accuracy, "macs": macs},
                architecture=architecture.to_dict(),
                architecture_id=architecture.id,
            )
            for number, (architecture, (accuracy, macs)) in enumerate(
                zip(SPACE.enumerate(), values, strict=False)
            )
        ]

    def trials(self):
        return self._trials


def test_the_promising_ones_are_the_fronts_from_the_outside_in(make_trial):
    rng = np.random.default_rng(0)
    values = [(float(a), float(b)) for a, b in rng.normal(size=(20, 2))]
    scores = Scores(make_trial, values)
    chosen = promising_part(scores, 8, set())
    # naively: how many chains of dominance lie above each point
    layer = {}
    left = dict(enumerate(values))
    depth = 0
    while left:
        front = [
            i
            for i, (acc, macs) in left.items()
            if not any(
                a >= acc and m <= macs and (a, m) != (acc, macs)
                for a, m in left.values()
            )
        ]
        for i in front:
            layer[i] = depth
            del left[i]
        depth += 1
    best = sorted(layer, key=lambda i: (layer[i], -values[i][0]))[:8]
    ids = [t.architecture_id for t in scores.trials()]
    assert [a.id for a in chosen] == [ids[i] for i in best]
    taken = {chosen[0].id}
    assert chosen[0].id not in {a.id for a in promising_part(scores, 8, taken)}


def settings(**changes):
    return {
        "name": "two",
        "data": {
            "name": "digits", "image_size": 16, "max_train": 96, "max_validation": 40,
        },
        "parent": {
            "train": True,
            "library": {"epochs": 1, "images": 64, "batch_size": 32},
        },
        "scoring": {"kind": "two_step", "epochs": 1, "random": 3, "promising": 2},
        "space": {
            "attention": {"heads": 1},
            "backbone": {
                "block": "basic", "stem": "patch2",
                "depths": [2, 2], "widths": [8, 16],
            },
        },
        "training": {"epochs": 1, "batch_size": 32, "warmup_epochs": 0.5},
        "search": {"replicates": 2, "replicate_first": 2},
        **changes,
    }  # fmt: skip


def killed_after(number, monkeypatch):
    """Stop the first step as it wants to score one more placement."""
    scored = []
    real = Distilled._score

    def score(self, run):
        if len(scored) == number:
            monkeypatch.setattr(Distilled, "_score", real)
            raise KeyboardInterrupt
        scored.append(run.number)
        return real(self, run)

    monkeypatch.setattr(Distilled, "_score", score)


def no_path_of(directory, study):
    """Nothing that a study is resumed from names the place where it was made."""
    return all(
        str(directory).encode() not in path.read_bytes()
        for name in ("config.yaml", "study.log")
        for path in study.rglob(name)
    )


def test_scores_that_were_cut_off_go_on_elsewhere(tmp_path, monkeypatch):
    """The first step alone: its library lies beside it, in the study around it."""
    parent = tmp_path / "parent"
    parent.mkdir()
    write_parent(parent)
    given = settings()
    library = given["parent"]["library"]
    config = config_from_dict(
        {**given, "parent": {"model": str(parent), "library": library}}
    )
    here = tmp_path / "here"
    here.mkdir()
    (here / "config.yaml").write_text("what the search in two steps writes")
    (step,) = TwoStep(config, quiet=True).steps(here)
    killed_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        search(step.config, step.directory, quiet=True)
    assert no_path_of(here, here)
    fitted = (here / "library" / LIBRARY_FILE).stat().st_mtime_ns

    there = tmp_path / "there"
    here.rename(there)
    ledger = there / "scores" / "study.log"
    content = ledger.read_bytes()
    ledger.write_bytes(content[: len(content) // 2])  # the disk was full, say
    table = resume(there / "scores", quiet=True).table()
    assert set(table["state"]) - {"failed"} == {"complete"}
    assert table.loc[table["state"] == "complete", "placement"].nunique() == 8
    assert not here.exists()
    assert (there / "library" / LIBRARY_FILE).stat().st_mtime_ns == fitted


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_search_in_two_steps(tmp_path, local_ray, capsys, monkeypatch):
    config = config_from_dict(settings())
    scorer = TwoStep(config, quiet=True)
    # Killed amidst the scores, and moved before it goes on ...
    killed_after(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        search(config, tmp_path / "made here", quiet=True)
    assert no_path_of(tmp_path / "made here", tmp_path / "made here")
    out = tmp_path / "study"
    (tmp_path / "made here").rename(out)
    # ... killed between the steps: the scores are there, nothing is fine-tuned.
    with monkeypatch.context() as patch:
        patch.setattr(TwoStep, "prepare", stop)
        with pytest.raises(KeyboardInterrupt):
            resume(out, quiet=True)
    scores = Study.open(out / "scores").table()
    assert set(scores["scorer"]) == {"distilled"}
    assert scores.loc[scores["state"] == "complete", "placement"].nunique() == 8
    study = resume(out, quiet=True)
    assert len(Study.open(out / "scores").table()) == len(scores)
    assert not (tmp_path / "made here").exists()
    table = study.table()
    assert set(table["state"]) == {"complete"}
    assert set(table["scorer"]) == {"finetune"}
    assert set(table["epochs"]) == {1}
    drawn = {str(a.placement) for a in random_part(scorer.space, 3, config.seed)}
    parts = table.fillna({"sampled": "parent"}).groupby("sampled")["placement"]
    assert set(parts.get_group("parent")) == {"CC-CC"}
    assert set(parts.get_group("random")) == drawn
    assert len(set(parts.get_group("promising"))) == 2
    # the parent and the first of the random part were trained with two seeds
    assert len(table) == study.config.search.trials == 6 + 2
    repeated = table.groupby("placement")["seed"].nunique()
    assert repeated["CC-CC"] == 2 and (repeated == 2).sum() == 2

    rule = PlacementTable.of_study(study, "accuracy")
    assert set(rule.placements) == {"CC-CC", *drawn}
    assert rule.sampling == "uniform"
    assert any("chosen by their scores" in note for note in rule.notes)

    found = score_agreement(study)
    assert (found.part, found.num_placements) == ("random", 3)
    assert found.num_repeated == 1
    for verb in ("agreement", "pareto", "show", "status", "report", "rule"):
        assert run(verb, out) == 0
        capsys.readouterr()
    assert run("pareto", out / "scores") == 0
    assert run("show", out / "parent") == 0


def stop(*_):
    raise KeyboardInterrupt


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(one) for one in arguments])
    return stop.value.code


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "two_step", "random": 0, "promising": 0}, "at least 1, got 0"),
        ({"kind": "two_step", "random": -1}, "scoring.random is a whole number"),
        ({"kind": "two_step", "promising": 1.5}, "scoring.promising is a whole"),
        ({"kind": "two_step", "front": 3}, "unknown key 'scoring.front'"),
        ({"kind": "two_step", "images": 1}, "scoring.images"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(tmp_path, capsys, change, message):
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps(settings(scoring=change)))
    assert run("search", config, "--out", tmp_path / "s", "--quiet") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "s").exists()
