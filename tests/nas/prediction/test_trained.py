import numpy as np
import pandas as pd
import pytest

from nas.prediction.trained import TrainedTable
from search_spaces.errors import InputError


def _frame(**columns):
    base = {"placement": ["CC-M", "CM-M", "MM-C", "CC-M"], "accuracy": [1.0, 2, 3, 2]}
    return pd.DataFrame({**base, **columns})


def test_two_columns_are_enough_and_repeats_are_trainings():
    table = TrainedTable.of_frame(_frame())
    assert table.placements == ("CC-M", "CM-M", "MM-C")
    assert table.means.tolist() == [1.5, 2, 3]
    assert table.counts.tolist() == [2, 1, 1]
    assert table.within == pytest.approx(0.5)
    assert table.num_trials == 4
    assert table.depths == (2, 1)


def test_the_same_seed_twice_is_one_training():
    table = TrainedTable.of_frame(_frame(seed=[0, 0, 0, 0]))
    assert table.counts.tolist() == [1, 1, 1]
    assert table.within == 0
    assert any("repeat the placement and the seed" in note for note in table.notes)


def test_failed_and_unmeasured_rows_are_left_out_and_said():
    frame = _frame(state=["complete", "complete", "complete", "failed"])
    frame.loc[len(frame)] = ["PP-S", np.nan, "complete"]
    table = TrainedTable.of_frame(frame)
    assert table.counts.tolist() == [1, 1, 1]
    assert "PP-S" not in table.placements
    assert table.space.letters == ("CMP", "CMP", "CMS")
    assert table.trained_space.letters == ("CM", "CM", "CM")
    assert any("1 failed" in note for note in table.notes)
    assert any("count as not trained" in note for note in table.notes)


def test_only_one_budget_is_used():
    table = TrainedTable.of_frame(_frame(epochs=[5, 5, 5, 1]))
    assert table.epochs == 5
    assert table.num_trials == 3


def test_other_numeric_columns_are_known_of_every_placement():
    table = TrainedTable.of_frame(_frame(score=[1.0, 2, 3, 3], text=["a"] * 4))
    assert table.column("score").to_dict() == {"CC-M": 2, "CM-M": 2, "MM-C": 3}
    with pytest.raises(InputError, match=r"no numeric column 'text'.*there are score"):
        table.column("text")


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (_frame().drop(columns="placement"), "column 'placement'"),
        (_frame().drop(columns="accuracy"), "no metric 'accuracy'"),
        (_frame(placement=["CC-M", "CX-M", "MM-C", "CC-M"]), r"row 1.*'X'"),
        (_frame(placement=["CC-M", "CMM", "MM-C", "CC-M"]), "same depths"),
        (_frame(placement=["CC-M", None, "MM-C", "CC-M"]), "is empty"),
        (_frame(placement=["CC-M"] * 4), r"3 different placements .* has 1"),
        (_frame().head(1), r"3 different placements .* has 1"),
        (_frame().head(0), r"3 different placements .* has 0"),
        (_frame(accuracy=[0.5] * 4), "nothing to predict"),
        (_frame(accuracy=["good", "1", "2", "3"]), "holds numbers"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(frame, said):
    with pytest.raises(InputError, match=said) as caught:
        TrainedTable.of_frame(frame)
    assert "\n" not in str(caught.value)


def test_files_are_read_and_others_refused(tmp_path):
    _frame().to_csv(tmp_path / "a.csv", index=False)
    _frame().to_parquet(tmp_path / "a.parquet", index=False)
    for name in ("a.csv", "a.parquet"):
        assert TrainedTable.read(tmp_path / name).num_trials == 4
    for name in ("a.txt", "absent.csv"):
        with pytest.raises(InputError, match=name):
            TrainedTable.read(tmp_path / name)


def test_the_same_seed_on_two_splits_or_in_two_clusters_is_two_trainings():
    for name in ("split_seed", "cluster"):
        table = TrainedTable.of_frame(_frame(seed=[0] * 4, **{name: [1, 1, 1, 2]}))
        assert table.counts.tolist() == [2, 1, 1], name
        assert table.within == pytest.approx(0.5)


def test_scores_are_no_trainings():
    frame = _frame(scorer=["scratch"] * 3 + ["supernet"])
    table = TrainedTable.of_frame(frame)
    assert table.means.tolist() == [1, 2, 3]
    assert any("1 of other scorers" in note for note in table.notes)


def test_columns_may_have_numbers_for_names():
    table = TrainedTable.of_frame(
        _frame().assign(**{"5": 1.0}).rename(columns={"5": 5})
    )
    assert table.column("5").tolist() == [1, 1, 1]
