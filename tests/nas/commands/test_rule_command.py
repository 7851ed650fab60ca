import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from nas.commands.rule import command
from search_spaces.errors import InputError


@pytest.fixture
def end_rule(tmp_path):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (90, 6))
    names = [
        "-".join("".join("CM"[b] for b in s) for s in (r[:3], r[3:])) for r in bits
    ]
    values = 0.8 + 0.02 * bits[:, [2, 5]].sum(axis=1) + rng.normal(0, 0.01, 90)
    path = tmp_path / "trials.csv"
    pd.DataFrame({"placement": names, "accuracy": values}).to_csv(path, index=False)
    return path


def run(*arguments):
    return CliRunner().invoke(
        command, [str(a) for a in arguments], catch_exceptions=False
    )


def test_table_says_effects_and_verdict(end_rule, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    result = run(end_rule)
    assert result.exit_code == 0
    assert "90 trials of" in result.output and "unknown sampling" in result.output
    assert "end of stage" in result.output and "Verdict: supported" in result.output
    # The tables fit a terminal of the usual width, with every number whole.
    rows = [line for line in result.output.splitlines() if line[:1] in "┏┃│└"]
    assert len(rows) > 20 and max(map(len, rows)) <= 80
    assert "…" not in result.output and "no room for" not in result.output


def test_json_is_json_and_nothing_else(end_rule, tmp_path):
    result = run(end_rule, "--format", "json", "--plot", tmp_path / "rule.png")
    data = json.loads(result.stdout)
    assert data["verdict"] == "supported" and data["num_trials"] == 90
    assert (tmp_path / "rule.png").exists() and "drew" in result.stderr


def test_direction_turns_the_verdict(end_rule):
    result = run(end_rule, "--direction", "minimize", "--format", "json")
    assert json.loads(result.stdout)["verdict"] == "contradicted"


def test_an_unknown_metric_lists_those_there_are(end_rule):
    with pytest.raises(InputError, match="no metric 'nll'; metrics: accuracy"):
        run(end_rule, "--metric", "nll")
