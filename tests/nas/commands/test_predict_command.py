import io
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from prediction_plants import NINE, additive, table

from nas.cli import main
from nas.commands.predict import command
from search_spaces.errors import InputError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    truth, _ = additive(NINE, rng)
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    table(truth, rng, 50, 0.3, replicates=2).to_csv(path, index=False)
    return path


def _run(*arguments):
    return CliRunner().invoke(
        command, list(map(str, arguments)), catch_exceptions=False
    )


def test_json_alone_is_on_stdout(file, tmp_path):
    result = _run(file, "--format", "json", "--top", 5, "--plot", tmp_path / "a.png")
    found = json.loads(result.stdout)
    assert len(found["placements"]) == 5
    assert found["space"] == {
        "slots": "[CM][CM][CM]-[CM][CM][CM]-[CM][CM][CM]",
        "size": 512,
        "complete": True,
    }
    assert found["trust"]["sentence"].startswith("Placements left out")
    assert (tmp_path / "a.png").exists()
    assert "drew" in result.stderr


def test_csv_holds_every_placement(file):
    frame = pd.read_csv(io.StringIO(_run(file, "--format", "csv").stdout))
    assert len(frame) == 512
    assert list(frame.columns[:4]) == ["placement", "mean", "low", "high"]


def test_the_table_says_how_far_to_trust_it_first(file):
    printed = _run(file).stdout
    assert "Placements left out of the model are ranked" in printed
    assert printed.index("left out of the model") < printed.index("best first")
    assert "ICC" in printed
    assert "ceiling (seed noise)" in printed


def test_tables_fit_80_columns_with_every_number_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rng = np.random.default_rng(5)
    names = [f"{a}{b}C-C{c}{d}" for a in "CM" for b in "CM" for c in "CM" for d in "CM"]
    frame = pd.DataFrame(
        {
            "placement": names,
            "accuracy": 0.9 + 0.01 * rng.standard_normal(16),
            "macs": 1e6 + 1e4 * np.array([name.count("M") for name in names]),
        }
    )
    path = tmp_path / "t.csv"
    # Whoever has two M in the first stage was never trained: a guess.
    frame[~frame.placement.str.startswith("MM")].to_csv(path, index=False)
    text = _run(path, "--space", "[CM][CM]C-C[CM][CM]", "--max", "macs=1.03e6").stdout
    rows = [line for line in text.splitlines() if line[:1] in "┏┃│└"]
    assert len(rows) > 20 and max(map(len, rows)) <= 80
    assert "…" not in text and "1.03 M" in text and "guess" not in text
    text = _run(path, "--space", "[CM][CM]M-C[CM][CM]").stdout
    assert "│ guess" in text and "guess: " in text


@pytest.mark.parametrize("limit", ["macs", "macs=", "=3", "macs=lots", "macs=nan"])
def test_malformed_limits_are_refused(file, limit):
    with pytest.raises(InputError, match="--max takes costs"):
        _run(file, "--max", limit)


def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, capsys):
    path = tmp_path / "bad.csv"
    path.write_text("placement,accuracy\nCX,1\nCC,2\nMM,3\n")
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(path)])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "line 2" in said
    assert "'X'" in said


def test_a_column_named_like_a_formula_is_none_in_csv(tmp_path):
    rng = np.random.default_rng(0)
    truth, _ = additive(NINE, rng)
    frame = table(truth, rng, 40, 0.1)
    frame["=1+1"] = rng.normal(size=len(frame))
    frame.to_csv(tmp_path / "t.csv", index=False)
    path = str(tmp_path / "t.csv")
    done = _run(path, "--format", "csv", "--covariate", "=1+1", "--top", "3")
    assert done.exit_code == 0, done.output
    assert "'=1+1" in done.stdout.splitlines()[0].split(",")


def test_a_negative_seed_is_refused_in_one_line(file, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(file), "--seed", "-1"])
    assert stopped.value.code == 2
    assert "x>=0" in capsys.readouterr().err
