import numpy as np
import pandas as pd
from rule_plants import free_design, placements

from nas.rule.failures import slot_failures
from nas.rule.placement_table import PlacementTable
from nas.rule.rule_test import rule_test


def crashing(rng, num_rows=120):
    """Three in four placements with an MSA in stage 1 block 2 crash."""
    bits = free_design(rng, num_rows, (3, 3))
    crash = (bits[:, 1] == 1) & (rng.random(num_rows) < 0.75)
    return pd.DataFrame(
        {
            "placement": list(map(str, placements(bits, (3, 3)))),
            "state": np.where(crash, "failed", "complete"),
            "accuracy": np.where(crash, np.nan, rng.normal(size=num_rows)),
        }
    )


def test_a_slot_that_crashes_is_found():
    frame = crashing(np.random.default_rng(0))
    table = PlacementTable.of_frame(frame)
    found = slot_failures(table)
    assert len(found) == 6
    assert found[1].p_holm < 1e-6 and found[1].failed_conv == 0
    assert found[1].failed_msa == (frame["state"] == "failed").sum()
    assert all(one.p_holm > 0.01 for i, one in enumerate(found) if i != 1)
    for one in found:
        assert one.num_msa + one.num_conv == len(frame)
    assert rule_test(table).to_dict()["failures"][1]["block"] == 2


def test_no_failures_no_report():
    frame = crashing(np.random.default_rng(1))
    done = frame[frame["state"] == "complete"]
    assert slot_failures(PlacementTable.of_frame(done)) == ()


def test_damaged_placements_of_failed_trials_are_left_out():
    frame = crashing(np.random.default_rng(2))
    frame.loc[len(frame)] = ["???", "failed", np.nan]
    frame.loc[len(frame)] = ["CC-CC", "failed", np.nan]
    failures = PlacementTable.of_frame(frame).failures
    assert len(failures) == (frame["state"] == "failed").sum() - 2


def test_a_training_that_ends_without_a_value_has_failed():
    frame = crashing(np.random.default_rng(3))
    told = PlacementTable.of_frame(frame).failures
    quiet = [frame.assign(state="complete"), frame.drop(columns="state")]
    for table in quiet:
        assert PlacementTable.of_frame(table).failures == told
