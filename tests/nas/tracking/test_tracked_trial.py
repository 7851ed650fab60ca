import math

import pytest
from search_parts import small_space

from nas.ledger.trial import Trial, TrialState
from nas.tracking.tracked_trial import (
    TrackedTrial,
    final_numbers,
    final_state,
    has_ended,
    hyper_parameters,
    numbers,
    run_name,
)
from search_spaces import Architecture


def record(**fields):
    architecture = list(small_space().enumerate())[5]
    known = {
        "number": 7,
        "state": TrialState.COMPLETE,
        "architecture": architecture.to_dict(),
        "placement": str(architecture.placement),
        "seed": 3,
        "epochs": 4,
        "architecture_id": architecture.id,
    }
    return Trial(**{**known, **fields})


def test_a_run_is_named_so_that_people_know_it_and_lists_are_in_order():
    assert run_name(record()) == f"0007-{record().placement}"
    assert run_name(record(number=9)) < run_name(record(number=10))


def test_hyper_parameters_are_plain_and_those_of_the_network():
    found = hyper_parameters(record())
    network = Architecture.from_dict(record().architecture).build()
    assert found["params"] == sum(p.numel() for p in network.parameters())
    assert found["num_msas"] == found["placement"].count("M") > 0
    assert (found["number"], found["seed"], found["epochs"]) == (7, 3, 4)
    assert (found["heads"], found["head_dim"]) == ("3 6", "64 64")
    assert not {"baseline", "retry_of"} & set(found)
    assert all(isinstance(value, int | str) for value in found.values())
    repeated = hyper_parameters(record(baseline="all_conv", retry_of=0))
    assert (repeated["baseline"], repeated["retry_of"]) == ("all_conv", 0)


def test_only_finite_numbers_are_shown():
    values = {"a": 1, "b": 0.5, "c": math.nan, "d": -math.inf, "e": "text", "f": None}
    assert numbers(values) == {"a": 1.0, "b": 0.5}


def test_the_end_of_a_trial_is_its_record():
    ended = record(
        metrics={"accuracy": 0.5}, standard_errors={"accuracy": 0.1}, duration_s=2.0
    )
    assert final_numbers(ended) == {
        "accuracy": 0.5,
        "standard_error/accuracy": 0.1,
        "duration_s": 2.0,
    }
    assert final_numbers(record()) == {}


@pytest.mark.parametrize(
    ("fields", "word", "ended"),
    [
        ({}, "complete", True),
        ({"state": TrialState.PRUNED}, "pruned", True),
        ({"state": TrialState.FAILED}, "failed", True),
        ({"state": TrialState.FAILED, "retried_as": 9}, "lost", True),
        ({"state": TrialState.RUNNING}, "running", False),
        ({"state": TrialState.WAITING}, "waiting", False),
    ],
)
def test_states_in_one_word(fields, word, ended):
    assert final_state(record(**fields)) == word
    assert has_ended(record(**fields)) is ended


def test_loggers_see_a_trial_of_tune(tmp_path):
    shown = TrackedTrial("ab12", "0007-CM", {"seed": 3}, tmp_path / "a" / "b", "study")
    shown.init_local_path()
    assert (tmp_path / "a" / "b").is_dir()
    assert shown.local_path == str(tmp_path / "a" / "b")
    assert str(shown) == "0007-CM"
    shown.state = "pruned"
    assert shown.evaluated_params == {"seed": 3, "state": "pruned"}
