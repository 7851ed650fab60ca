import csv
import io
import json
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from nas.commands.pareto import command
from search_spaces.errors import InputError


@pytest.fixture
def run(known_study, make_study, make_trial, monkeypatch):
    """Run `nas pareto` on known studies instead of directories."""
    studies = {
        "known": known_study,
        "worse": make_study([make_trial(0, accuracy=0.1, params=1e3)], name="worse"),
        "empty": make_study([], name="empty"),
        "other": make_study([make_trial(0, accuracy=0.1, params=1e3)], name="other"),
        "longer": make_study(
            [make_trial(0, accuracy=0.1, params=1.8e6, epochs=90)], name="longer"
        ),
    }
    studies["known"].header = {"data_fingerprint": "aaa"}
    studies["other"].header = {"data_fingerprint": "bbb"}
    opener = SimpleNamespace(open=lambda path: studies[str(path)])
    monkeypatch.setitem(sys.modules, "nas.study.study", SimpleNamespace(Study=opener))

    def run(*arguments):
        result = CliRunner().invoke(command, arguments)
        if isinstance(result.exception, InputError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run


def test_table_shows_the_front_best_first(run):
    lines = run("known").stdout.splitlines()
    numbers = [line.split("│")[1].strip() for line in lines if "yes" in line]
    assert numbers == ["3", "1", "0"]
    assert "0.900 ± 0.020" in run("known").stdout
    assert "3 of 5 measured trials are on the front" in run("known").stdout
    assert "reference point accuracy=0.675, params=430" in run("known").stdout


def test_table_of_all_trials(run):
    assert "CM-MM" not in run("known").stdout
    assert "CM-MM" in run("known", "--all").stdout


def test_json_is_json_and_nothing_else(run):
    result = run("known", "--format", "json")
    data = json.loads(result.stdout)
    assert [t["number"] for t in data["trials"] if t["is_pareto"]] == [0, 1, 3]
    assert data["objectives"][0] == {"metric": "accuracy", "direction": "maximize"}
    assert data["hypervolume"] > 0


def test_csv_has_a_column_is_pareto(run):
    rows = list(csv.DictReader(io.StringIO(run("known", "--format", "csv").stdout)))
    assert [row["is_pareto"] for row in rows] == [
        "True",
        "True",
        "False",
        "True",
        "False",
    ]
    assert rows[1]["accuracy"] == "0.9"


def test_constraint_greys_a_trial(run):
    result = run("known", "--constraint", "params<=300", "--all")
    assert "1 trials break params<=300" in result.stdout
    assert "2 of 5" in result.stdout
    data = json.loads(
        run("known", "--constraint", "params<=300", "--format", "json").stdout
    )
    assert [t["number"] for t in data["trials"] if not t["is_feasible"]] == [3]


def test_other_metrics_as_axes(run):
    result = run("known", "--metrics", "params,num_msas:minimize", "--format", "json")
    data = json.loads(result.stdout)
    assert [t["number"] for t in data["trials"] if t["is_pareto"]] == [0]


def test_compare_uses_one_reference_for_both(run):
    data = json.loads(run("known", "--compare", "worse", "--format", "json").stdout)
    assert data["reference"] == data["compare"]["reference"]
    assert data["hypervolume"] > data["compare"]["hypervolume"] > 0
    assert "worse: the front" in run("known", "--compare", "worse").stdout


def test_a_reference_of_ones_own(run):
    arguments = ("known", "--reference", "accuracy=0,params=1000", "--format", "json")
    data = json.loads(run(*arguments).stdout)
    assert data["reference"] == {"accuracy": 0, "params": 1000}
    by_hand = 0.95 * 600 + 0.90 * 200 + 0.70 * 100
    assert data["hypervolume"] == pytest.approx(by_hand)
    for text in ("accuracy=0", "accuracy=0,params=x", "accuracy=0,params=nan"):
        with pytest.raises(InputError, match="a number for every axis"):
            run("known", "--reference", text)


def test_plot_writes_the_figure(run, tmp_path):
    result = run("known", "--plot", str(tmp_path / "front.svg"), "--format", "json")
    assert "<svg" in (tmp_path / "front.svg").read_text()
    json.loads(result.stdout)


def test_a_study_without_trained_trials(run):
    assert run("empty").stdout == "empty: no trial has been measured yet\n"
    assert run("empty", "--format", "csv").stdout == ""
    assert json.loads(run("empty", "--format", "json").stdout)["trials"] == []


def test_wrong_input_is_told(run):
    with pytest.raises(InputError, match="a constraint is"):
        run("known", "--constraint", "params=3")
    with pytest.raises(InputError, match="no trained trial"):
        run("known", "--metrics", "accuracy,latency:minimize")


def test_any_number_of_studies_is_compared(run):
    arguments = ("known", "--compare", "worse", "--compare", "empty")
    data = json.loads(run(*arguments, "--format", "json").stdout)
    assert [one["study"] for one in data["others"]] == ["worse", "empty"]
    assert data["others"][0] == data["compare"]
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "--format", "csv").stdout)))
    assert {row["study"] for row in rows} == {"known", "worse"}


@pytest.mark.parametrize(
    ("other", "said"),
    [("other", "images .fingerprint. aaa and bbb"), ("longer", "epochs .* and 90")],
)
def test_studies_that_measure_other_things_are_refused(run, other, said):
    with pytest.raises(InputError, match=said):
        run("known", "--compare", other)
    forced = run("known", "--compare", other, "--force")
    assert "a difference between fronts may be that" in forced.stderr
    assert f"{other}: the front" in forced.stdout


def test_tables_fit_80_columns_and_name_what_had_no_room(run):
    text = run("known", "--compare", "worse").stdout
    grid = [line for line in text.splitlines() if line[:1] in "┃│┏┡└"]
    assert grid and max(map(len, grid)) <= 80


def test_markdown_and_human_units(run):
    text = run("longer", "--format", "markdown").stdout
    assert "| number | placement | front |" in text
    assert "1.80 M" in text


def test_the_luck_of_the_front_stands_beside_it():
    table = ["results/cifar10-placement"]
    data = json.loads(CliRunner().invoke(command, [*table, "--format", "json"]).stdout)
    trials = data["trials"]
    best = max(trials, key=lambda one: one["accuracy"])
    assert best["placement"] == "CCC-CCC-CCC"
    assert best["accuracy_expected"] < best["accuracy"]
    assert best["accuracy_low"] < best["accuracy_expected"] < best["accuracy_high"]
    by_placement = {one["placement"]: one["p_best"] for one in trials}
    assert sum(by_placement.values()) == pytest.approx(1)
    shown = CliRunner().invoke(command, table).stdout
    assert "expected" in shown and "p best" in shown
    assert "cannot be told from the all-Conv parent" in shown


def test_baselines_are_named_where_their_column_has_no_room(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    text = " ".join(run("known").stdout.split())
    assert "no room for: " in text and "Baselines by number: 0 all_conv" in text
    monkeypatch.setenv("COLUMNS", "200")
    assert "Baselines by number" not in run("known").stdout


def test_markdown_says_the_hypervolume_that_is_compared(run):
    text = run("known", "--compare", "worse", "--format", "markdown").stdout
    points = [line for line in text.splitlines() if "reference point" in line]
    assert len(points) == 2 and all("Hypervolume" in line for line in points)
    assert len({line.split("reference point")[1] for line in points}) == 1
