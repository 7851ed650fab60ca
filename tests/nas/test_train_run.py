import json
from dataclasses import replace
from pathlib import Path

import pytest

from nas.cli import main
from nas.config import config_from_dict, load_config
from nas.ledger.trial import Trial, TrialState
from nas.scoring.held_out_test import TestResult
from nas.study.layout import StudyLayout
from nas.train_run import (
    FRESH,
    Candidate,
    TrainedRow,
    check_fit,
    named_candidate,
    paired_difference,
    train_architectures,
    train_table,
    training_config,
    with_baselines,
)
from search_spaces import Architecture, Attention, Backbone, InputError, Placement

ARCHITECTURE = Architecture(
    Backbone("basic", "cifar", (2, 2), (4, 8)),
    Placement.parse("MC-CM"),
    Attention(heads=(1, 2), head_dim=4),
    4,
    3,
    16,
)
CONFIG = config_from_dict(
    {"data": {"name": "fake"}, "training": {"epochs": 1, "batch_size": 32}}
)


def test_baselines_of_the_same_backbone_are_added_once():
    listed = with_baselines([Candidate("mine", ARCHITECTURE)])
    assert [(one.label, str(one.architecture.placement)) for one in listed] == [
        ("mine", "MC-CM"),
        ("all_conv", "CC-CC"),
        ("paper_rule", "CC-CM"),
    ]
    for one in listed:
        assert (
            replace(one.architecture, placement=ARCHITECTURE.placement) == ARCHITECTURE
        )
    rule = Candidate("mine", listed[2].architecture)
    assert [one.label for one in with_baselines([rule])] == ["mine", "all_conv"]


def test_architectures_of_other_backbones_share_a_run():
    other = Architecture(
        Backbone.preset("tiny"),
        Placement.parse("MC-CCC-CCM"),
        Attention(1, 4),
        4,
        3,
        16,
    )
    listed = with_baselines([Candidate("a", ARCHITECTURE), Candidate("b", other)])
    assert len(listed) == 6
    config = training_config(listed, CONFIG, num_seeds=2)
    assert config.search.trials == 12
    given = config.search.options["architectures"]
    assert [Architecture.from_dict(one) for one in given] == [
        one.architecture for one in listed
    ]


def test_architectures_must_fit_the_images():
    small = Candidate("small", replace(ARCHITECTURE, image_size=32))
    with pytest.raises(
        InputError, match=r"of small is \(4, 3, 32\), of fake \(4, 3, 16\)"
    ):
        check_fit([small], CONFIG)


def test_the_table_is_mean_and_deviation_over_seeds():
    class Runs:
        layout = StudyLayout(Path("nowhere"))

        def trials(self):
            return [
                Trial(n, TrialState.COMPLETE, {}, "MC-CM", n, 1, {"accuracy": 0.1 * n})
                for n in range(3)
            ]

    tested = [
        TestResult(n, "MC-CM", ARCHITECTURE.id, n, 1, "", accuracy, 0.01, nll, 100)
        for n, (accuracy, nll) in enumerate([(0.7, 1.0), (0.8, 2.0), (0.9, 3.0)])
    ]
    candidates = [Candidate("mine", ARCHITECTURE)]
    (row,) = train_table(Runs(), candidates, tested)
    assert row.test_accuracy == pytest.approx(0.8)
    assert row.test_accuracy_sd == pytest.approx(0.1)  # n - 1 in the denominator
    assert row.test_nll == pytest.approx(2.0)
    assert row.val_accuracy == pytest.approx(0.1)
    assert (row.num_seeds, row.params) == (3, ARCHITECTURE.params)
    (single,) = train_table(Runs(), candidates, tested[:1])
    assert single.test_accuracy_sd is None
    assert train_table(Runs(), candidates, []) == []


@pytest.mark.ray
def test_train_runs_goes_on_and_refuses_another_run(tmp_path, capsys):
    path = tmp_path / "mine.yaml"
    ARCHITECTURE.to_yaml(path)
    config = tmp_path / "c.yaml"
    config.write_text("data: {name: fake}\ntraining: {epochs: 1, batch_size: 64}\n")
    out = tmp_path / "run"
    command = ["train", str(path), "--config", str(config), "--seeds", "2"]
    command += ["--out", str(out), "--format", "json", "--quiet"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in rows] == ["mine", "all_conv", "paper_rule"]
    assert all(row["num_seeds"] == 2 for row in rows)
    assert (out / "test.csv").exists()
    # Again: nothing is trained twice, the same table.
    again = train_architectures(
        [Candidate("mine", ARCHITECTURE)],
        config_from_dict(
            {
                "data": {"name": "fake"},
                "training": CONFIG.training.model_dump() | {"batch_size": 64},
            }
        ),
        num_seeds=2,
        out=out,
        quiet=True,
        first_seed=FRESH,
    )
    assert [row["num_pairs"] for row in rows] == [2, 0, 2]
    assert [row["difference"] is None for row in rows] == [False, True, False]
    assert all(row["images_per_s"] > 0 for row in rows)
    assert [row.test_accuracy for row in again] == [r["test_accuracy"] for r in rows]
    with pytest.raises(InputError, match="holds another training run: .*training"):
        train_architectures(
            [Candidate("mine", ARCHITECTURE)], CONFIG, num_seeds=2, out=out, quiet=True
        )


def test_a_network_by_name_is_trained_beside_alternets_in_one_study():
    config = load_config("quickstart", ["data.name=mnist5k"])
    vit = named_candidate("vit,width=8,depth=1", config, "vit")
    assert with_baselines([vit]) == [vit]
    alone = training_config([vit], config, 2)
    assert alone.space.backbone["parent"]["model"] == "vit,depth=1,width=8"
    shape = (vit.architecture.num_classes, 1, vit.architecture.image_size)
    assert len(list(alone.space.make(*shape).enumerate())) == 1


def test_the_difference_to_the_parent_is_paired_by_seed():
    """Student's t of three differences, worked out by hand."""
    ours, theirs = {1: 0.5, 2: 0.7, 3: 0.9, 4: 0.1}, {1: 0.4, 2: 0.5, 3: 0.6}
    mean, interval, num = paired_difference(ours, theirs)
    assert (mean, num) == (pytest.approx(0.2), 3)
    half = 4.302653 * 0.1 / 3**0.5
    assert interval == pytest.approx((0.2 - half, 0.2 + half))
    assert paired_difference({1: 0.5}, {1: 0.4})[1:] == (None, 1)
    assert paired_difference({1: 0.5}, {2: 0.4}) == (None, None, 0)


def row(label, accuracy, **known):
    return TrainedRow(
        label, "MC-CM", 1_800_000, 12_000_000, 3, accuracy, 0.012, 1.5, 0.6, 0.01,
        0.02, 1234.0, **known,
    )  # fmt: skip


def test_the_verdict_says_what_is_known():
    better = row("mine", 0.7, difference=0.02, difference_ci=(0.01, 0.03), num_pairs=3)
    assert better.verdict() == (
        "mine is better than the all-Conv parent: +2.00 points [+1.00, +3.00], "
        "3 paired seeds"
    )
    unsure = replace(better, difference_ci=(-0.01, 0.05))
    assert unsure.verdict().startswith("mine cannot be told from the all-Conv parent")
    one_seed = replace(better, difference_ci=None, num_pairs=1)
    assert "of one seed" in one_seed.verdict()
    assert "is worse than" in replace(better, difference_ci=(-0.3, -0.1)).verdict()
    assert "no all-Conv parent" in row("other", 0.7).verdict()


@pytest.mark.parametrize("output", ["table", "markdown", "latex", "csv", "json"])
def test_the_table_of_a_paper(output, capsys):
    from nas.commands.train import _print

    rows = [
        row("mine", 0.7123, difference=0.02, difference_ci=(0.01, 0.03), num_pairs=3),
        row("all_conv", 0.6923),
    ]
    _print(rows, output)
    text = capsys.readouterr().out
    if output in ("csv", "json"):
        assert "0.7123" in text
        return
    plus = "$\\pm$" if output == "latex" else "±"
    assert f"71.23 {plus} 1.20" in text
    assert "+2.00 [+1.00, +3.00]" in text
    assert "1.80 M" in text
    if output == "table":
        grid = [line for line in text.splitlines() if line[:1] in "┃│┏┡└"]
        assert grid and max(map(len, grid)) <= 80
        assert "mine is better than the all-Conv parent" in text


def test_equal_differences_are_no_certainty():
    """Of 80 test images two seeds are apart by the same count more often than not."""
    parent = {0: 13 / 80, 1: 18 / 80}
    found = paired_difference({0: 18 / 80, 1: 23 / 80}, parent)
    assert found == (pytest.approx(5 / 80), None, 2)
    row = TrainedRow("a", "MC", 1, 1, 2, 0.25, 0.04, 1.6, 0.2, None, None, None, *found)
    assert "cannot be told" in row.verdict() and "better" not in row.verdict()
