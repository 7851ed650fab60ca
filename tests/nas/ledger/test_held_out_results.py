"""What readers of a study show of the test images.

The file itself is tested with the look that writes it, in
tests/nas/scoring/test_held_out_test.py.
"""

import json
from dataclasses import replace

import pytest

from nas.commands.pareto import command as pareto
from nas.commands.show import command as show
from nas.ledger.held_out_results import TestResult, read_test, results_of, write_test
from nas.pareto.table import ParetoTable
from nas.study.study import Study
from nas.study.trial_view import TrialView
from tests.nas.conftest import KnownStudy, known_trial

LOOKED = "2026-11-24T16:00:00+00:00"


@pytest.fixture
def tested():
    trials = [
        known_trial(0, "CC-CC", accuracy=0.5, params=100, baseline="all_conv"),
        known_trial(1, "CC-CM", accuracy=0.9, params=90),
        known_trial(2, "CM-CM", accuracy=0.8, params=120),
    ]
    results = {
        number: TestResult(number, "", "", 0, 3, None, accuracy, 0.01, 0.6, 200, LOOKED)
        for number, accuracy in ((0, 0.4321), (1, 0.8765))
    }
    return KnownStudy(trials, tested=results)


def test_rows_show_it_beside_the_validation_value(tested):
    table = ParetoTable.of(tested)
    rows = table.rows(tested.test_results())
    assert [row["test_accuracy"] for row in rows] == [0.4321, 0.8765, None]
    assert [row["accuracy"] for row in rows] == [0.5, 0.9, 0.8]
    assert "test_accuracy" not in table.rows()[0]  # nothing was looked at yet
    means = ParetoTable.of(tested, mean_of_seeds=True).rows(tested.test_results())
    assert "test_accuracy" not in means[0]  # a mean of validation values has none


def test_nothing_can_be_chosen_by_it(tested):
    """It is no metric: neither front, nor constraint, nor rule can name it."""
    from nas.ledger.trial import Objective
    from search_spaces import InputError

    axes = [Objective("test_accuracy", "maximize"), Objective("params", "minimize")]
    with pytest.raises(InputError, match="no trained trial"):
        ParetoTable.of(tested, axes)


@pytest.fixture
def opened(tested, monkeypatch):
    monkeypatch.setattr(Study, "open", lambda path: tested)
    return tested


def printed(command, arguments, capsys):
    command.main(arguments, standalone_mode=False)
    return capsys.readouterr().out


def test_nas_pareto_shows_it(opened, capsys):
    text = printed(pareto, ["known"], capsys)
    assert "0.876 ± 0.010" in text and "0.432 ± 0.010" in text
    assert "looked at once" in text
    found = json.loads(printed(pareto, ["known", "--format", "json"], capsys))
    assert [one["test_accuracy"] for one in found["trials"]] == [0.4321, 0.8765, None]
    csv = printed(pareto, ["known", "--format", "csv"], capsys)
    assert "test_accuracy,test_accuracy_se,test_nll" in csv.splitlines()[0]
    opened.tested.clear()
    assert "test accuracy" not in printed(pareto, ["known"], capsys)


def test_nas_show_says_when(opened, capsys):
    text = printed(show, ["known", "1"], capsys)
    assert "0.876 ± 0.010" in text and "200 test images" in text and LOOKED in text
    found = json.loads(printed(show, ["known", "1", "--format", "json"], capsys))
    assert found["test"]["test_accuracy"] == 0.8765
    assert found["test"]["looked"] == LOOKED
    assert TrialView.of(opened, 2).tested is None
    assert "test images" not in printed(show, ["known", "2"], capsys)


def test_the_report_shows_it(opened, tmp_path):
    from nas.reporting.content import report_data

    data = report_data(opened)
    assert data["values"]["test_accuracy"] == [0.4321, 0.8765, None]
    assert data["errors"]["test_accuracy"] == [0.01, 0.01, None]
    (described,) = [m for m in data["metrics"] if m["name"] == "test_accuracy"]
    assert described["direction"] == "none" and "2026-11-24" in described["definition"]


def test_the_model_card_shows_it(tested):
    from nas.exporting.model_card import _metric_table

    text = _metric_table(tested.trials()[1], tested.tested[1])
    assert "| test accuracy | 0.876 ± 0.010 | fraction | more |" in text
    assert "test" not in _metric_table(tested.trials()[1], None)


def test_results_belong_to_a_network(tested):
    placement = tested.trials()[1].placement
    result = replace(tested.tested[1], placement=placement, architecture="abc")
    trial = replace(tested.trials()[1], architecture_id="abc")
    assert results_of([trial], [result]) == {1: result}
    for change in ({"seed": 5}, {"placement": "MM-MM"}, {"architecture": "def"}):
        assert results_of([trial], [replace(result, **change)]) == {}


def test_a_name_that_looks_like_a_formula_is_none_and_comes_back(tmp_path):
    one = TestResult(0, "C-M", "=id", 0, 3, "=1+1", 0.5, 0.01, 0.6, 200, LOOKED)
    write_test(tmp_path / "test.csv", [one])
    cells = (tmp_path / "test.csv").read_text().splitlines()[1].split(",")
    assert "'=1+1" in cells and not any(cell.startswith("=") for cell in cells)
    assert read_test(tmp_path / "test.csv") == [one]
