"""A whole search whose trials draw splits of their own, and what comes after it."""

import json

import pandas as pd
import pytest
import yaml

from nas.cli import main

pytestmark = pytest.mark.slow  # a search on Ray


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    captured = capsys.readouterr()
    return stop.value.code, captured.out, captured.err


def test_from_the_search_to_the_export(tmp_path, capsys):
    study = tmp_path / "study"
    changes = [
        "data.name=digits",
        "data.max_train=200",
        "training.epochs=2",
        "search.sampler=swaps",
        "search.replicates=2",
        "search.baselines=false",
        "search.randomise=[seed, split]",
    ]
    options = [part for change in changes for part in ("--set", change)]
    code, _, err = run(
        capsys, "search", "quickstart", "--out", study, "--trials", 12, *options
    )
    assert code == 0, err
    table = pd.read_csv(study / "trials.csv")
    swapped = table[table["baseline"].isna()]
    assert table["split_seed"].notna().all()
    assert swapped.groupby("split_seed")["placement"].nunique().max() > 1
    assert (table.groupby("placement")["split_seed"].nunique() == 2).all()

    number = int(table["number"].iloc[-1])
    exported = tmp_path / "export"  # refused if its accuracy is not reproduced
    assert run(capsys, "export", study, number, "--to", exported)[0] == 0
    recipe = yaml.safe_load((exported / "recipe.yaml").read_text())
    assert recipe["data"]["resplit_seed"] == int(table["split_seed"].iloc[-1])
    targets = [exported, study / "trials" / str(number), study / "trials" / "0"]
    code, out, err = run(
        capsys, "evaluate", *targets, "--evaluators", "accuracy", "--format", "json"
    )
    assert code == 0, err
    found = [one["metrics"]["accuracy"] for one in json.loads(out)["models"]]
    assert found == [table["accuracy"].iloc[-1]] * 2 + [table["accuracy"].iloc[0]]

    config = study / "config.yaml"
    config.write_text(config.read_text().replace("  - split\n", ""))
    code, _, err = run(capsys, "resume", study, "--trials", 14)
    assert code == 2 and "search.randomise changed from" in err


def test_scorers_that_share_their_images_refuse(tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text("placement,accuracy,macs\nCCC-CCM-CCC,0.5,1\nCCC-CCC-CCM,0.6,1\n")
    code, _, err = run(
        capsys, "search", "quickstart", "--out", tmp_path / "study",
        "--set", "scoring.kind=recorded", "--set", f"scoring.table={table}",
        "--set", "search.randomise=[split]",
    )  # fmt: skip
    assert code == 2 and "runs share theirs" in err
