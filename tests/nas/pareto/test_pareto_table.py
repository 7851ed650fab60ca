import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.ledger.trial import Objective
from nas.pareto.table import (
    OPERATORS,
    Constraint,
    ParetoTable,
    format_value,
    parse_axes,
    trial_value,
)
from search_spaces.errors import InputError


def pareto_numbers(table):
    return [row["number"] for row in table.rows() if row["is_pareto"]]


def test_only_trained_trials_compete(known_study):
    table = ParetoTable.of(known_study)
    assert [trial.number for trial in table.trials] == [0, 1, 2, 3, 5]
    assert pareto_numbers(table) == [0, 1, 3]


def test_rows_are_plain_and_alike(known_study):
    rows = ParetoTable.of(known_study).rows()
    assert len({tuple(row) for row in rows}) == 1
    assert rows[1] == {
        "number": 1, "state": "complete", "placement": "CC-CM", "is_pareto": True,
        "is_feasible": True, "baseline": None, "seed": 0, "epochs": 3,
        "accuracy": 0.9, "params": 200.0, "accuracy_se": 0.02, "duration_s": 1.5,
    }  # fmt: skip
    assert rows[0]["accuracy_se"] is None


def test_a_constraint_takes_trials_out_of_the_front(known_study):
    bound = Constraint.parse("params<=300")
    table = ParetoTable.of(known_study, constraints=[bound])
    assert pareto_numbers(table) == [0, 1]
    assert [r["number"] for r in table.rows() if not r["is_feasible"]] == [3]
    none_left = ParetoTable.of(known_study, constraints=[Constraint.parse("params<1")])
    assert pareto_numbers(none_left) == []
    assert none_left.summary()["hypervolume"] == 0


def test_other_axes_make_another_front(known_study):
    axes = parse_axes("params,num_msas:maximize", known_study.objectives)
    assert pareto_numbers(ParetoTable.of(known_study, axes)) == [0, 1, 2, 3, 5]
    axes = parse_axes("accuracy:minimize,params", known_study.objectives)
    assert pareto_numbers(ParetoTable.of(known_study, axes)) == [0]


def test_summary_states_the_reference_and_the_volume(known_study):
    summary = ParetoTable.of(known_study).summary()
    assert summary["num_trials"] == 5
    assert summary["num_pareto"] == 3
    assert summary["reference"] == pytest.approx({"accuracy": 0.675, "params": 430})
    by_hand = (0.95 - 0.675) * 30 + (0.9 - 0.675) * 200 + (0.7 - 0.675) * 100
    assert summary["hypervolume"] == pytest.approx(by_hand)
    box = (0.95 - 0.675) * 330
    assert summary["hypervolume_share"] == pytest.approx(by_hand / box)


def test_an_empty_study_has_an_empty_table(make_study):
    table = ParetoTable.of(make_study([]))
    assert table.rows() == []
    assert table.summary()["reference"] == {"accuracy": None, "params": None}
    assert table.summary()["hypervolume"] == 0


def test_a_metric_that_nobody_has_is_told(known_study):
    with pytest.raises(
        InputError, match="no trained trial .* 'latency'; there are acc"
    ):
        ParetoTable.of(known_study, [Objective("latency", "minimize")])
    with pytest.raises(InputError, match="'weight'"):
        ParetoTable.of(known_study, constraints=[Constraint.parse("weight<3")])


def test_a_trial_without_the_metric_is_not_on_the_front(make_study, make_trial):
    study = make_study(
        [make_trial(0, accuracy=0.9, params=10), make_trial(1, params=1)]
    )
    table = ParetoTable.of(study)
    assert pareto_numbers(table) == [0]
    assert table.rows()[1]["accuracy"] is None


@given(
    st.from_regex(r"[a-z_]{1,9}", fullmatch=True),
    st.sampled_from(sorted(OPERATORS)),
    st.integers(-1000, 1000),
)
def test_constraints_read_back(metric, relation, bound):
    constraint = Constraint(metric, relation, float(bound))
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize(
    "text", ["", "params", "params=3", "params<=", "params<=x", "<=3", "a<=nan"]
)
def test_malformed_constraints_are_told(text):
    with pytest.raises(InputError, match="a constraint is a metric, one of"):
        Constraint.parse(text)


def test_constraint_accepts_spaces_and_separators():
    assert Constraint.parse(" params < 100,000 ") == Constraint("params", "<", 1e5)
    assert Constraint.parse("macs>=1e6") == Constraint("macs", ">=", 1e6)


def test_a_missing_value_breaks_a_constraint(make_trial):
    assert not Constraint.parse("params<=3").holds(make_trial(0))
    assert not Constraint.parse("params>=3").holds(make_trial(0))


def test_trial_values(make_trial):
    trial = make_trial(0, "CM-MM", accuracy=0.5, duration_s=None, seed=7)
    assert trial_value(trial, "accuracy") == 0.5
    assert trial_value(trial, "num_msas") == 3
    assert trial_value(trial, "seed") == 7
    assert math.isnan(trial_value(trial, "duration_s"))
    assert math.isnan(trial_value(trial, "nothing"))


def test_axes_need_two_names_and_directions(known_study):
    for text in ("accuracy", "accuracy,accuracy", ""):
        with pytest.raises(InputError):
            parse_axes(text, known_study.objectives)
    with pytest.raises(InputError, match="num_msas:maximize or num_msas:minimize"):
        parse_axes("accuracy,num_msas", known_study.objectives)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (12345.0, None, "12,345"),
        (0.912345, None, "0.9123"),
        (0.912345, 0.01234, "0.912 ± 0.012"),
        (0.9587, 0.00699, "0.9587 ± 0.0070"),
        (160.31, 17.2, "160 ± 17"),
        (12345.6, 17.2, "12,346 ± 17"),
        (0.0, 0.0, "0 ± 0"),
        (None, None, "–"),
        (math.nan, None, "–"),
        (math.inf, None, "inf"),
        (1.5e-9, None, "1.5e-09"),
    ],
)
def test_numbers_in_a_table(value, error, text):
    assert format_value(value, error) == text
