import pandas as pd
import pytest
import yaml
from search_parts import OBJECTIVES, measured, new_ledger, plan, run_all, settings

from nas.ledger.columns import check_metric_names
from nas.ledger.ledger import Ledger
from nas.ledger.location import Location
from nas.ledger.trial import Objective
from nas.sampling.proposer import Proposer
from nas.study.study import Study
from search_spaces.errors import InputError


@pytest.mark.parametrize("name", ["state", "number", "cause", "param.s1b1"])
def test_a_metric_named_like_a_column_is_refused(name, tmp_path):
    with pytest.raises(InputError, match=f"cannot be named '{name}'"):
        check_metric_names(["accuracy", name])
    with pytest.raises(InputError, match=f"cannot be named '{name}'"):
        objectives = (Objective(name, "maximize"), *OBJECTIVES)
        Ledger(Location("", tmp_path / "study.log"), "s", objectives, create=True)
    assert not (tmp_path / "study.log").exists()


def test_such_a_metric_fails_its_trial_and_touches_no_column(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings()))
    ledger = new_ledger(tmp_path)
    run_all(
        ledger,
        Proposer(ledger, plan(num_trials=2)),
        lambda p: {**measured(p.architecture), "state": 7.0},
    )
    frame = Study.open(tmp_path).table()
    assert list(frame["state"]) == ["failed", "failed"]
    assert "cannot be named state" in frame["error"][0]


def test_a_study_records_its_metrics_and_nothing_else_is_one(tmp_path):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings()))
    ledger = new_ledger(tmp_path)
    run_all(ledger, Proposer(ledger, plan(num_trials=2)))
    # e.g. optuna-dashboard, or a later version
    storage = ledger.study._storage
    number = ledger.study.ask().number
    storage.set_trial_user_attr(number, "stars", 5)
    assert ledger.get_note("metrics") == ["accuracy", "macs"]
    frame = Study.open(tmp_path).table()
    assert "stars" not in frame
    assert pd.api.types.is_float_dtype(frame["accuracy"])
