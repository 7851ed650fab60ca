import numpy as np
import pandas as pd
import pytest
from rule_plants import free_design, placements

from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable
from nas.rule.rule_test import rule_test
from search_spaces.errors import InputError


def frame(**columns):
    return pd.DataFrame({"placement": ["CC-CM", "CM-CC", "MM-CC"], **columns})


def test_two_columns_suffice():
    table = PlacementTable.of_frame(frame(accuracy=[0.1, 0.2, 0.3]))
    assert list(map(str, table.placements)) == ["CC-CM", "CM-CC", "MM-CC"]
    assert table.bits.tolist() == [[0, 0, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0]]
    assert table.values.tolist() == [0.1, 0.2, 0.3]
    assert table.sampling == "unknown" and table.notes == ()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_are_read(tmp_path, kind):
    path = tmp_path / f"table.{kind}"
    data = frame(nll=[1.0, 2.0, 3.0])
    data.to_csv(path, index=False) if kind == "csv" else data.to_parquet(path)
    assert PlacementTable.read(path, "nll").values.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"loss": [1, 2, 3]}, "no metric 'accuracy'; metrics: loss"),
        ({"accuracy": ["a", 1, 2]}, "'accuracy' holds numbers; got 'a' in row 0"),
        ({"accuracy": [1, 2, 3], "state": ["failed"] * 3}, "3 rows, none"),
        ({"accuracy": [None] * 3}, "3 rows, none"),
        ({"accuracy": [1, 2, 3], "epochs": ["x", 1, 1]}, "'epochs' holds numbers"),
    ],
)
def test_unusable_tables_are_refused(columns, message):
    with pytest.raises(InputError, match=message):
        PlacementTable.of_frame(frame(**columns))


def test_a_metric_is_not_a_seed():
    with pytest.raises(InputError, match="no metric 'seed' .*; metrics: accuracy"):
        PlacementTable.of_frame(frame(accuracy=[1, 2, 3], seed=[1, 2, 3]), "seed")


def test_a_placement_column_is_needed():
    with pytest.raises(InputError, match="column 'placement'; .* has 'accuracy'"):
        PlacementTable.of_frame(pd.DataFrame({"accuracy": [1.0]}))


def test_messages_name_the_line_of_a_csv(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("placement,accuracy\nCC-CM,0.5\nCC-CX,0.5\n")
    with pytest.raises(InputError, match="'placement', line 3 of .*'X' at stage 2"):
        PlacementTable.read(path)
    path.write_text("placement,accuracy\nCC-CM,0.5\n,0.5\n")
    with pytest.raises(InputError, match="line 3 .* stage 1 of '' is empty"):
        PlacementTable.read(path)
    path.write_text("placement,accuracy\nCC-CM,0.5\nCC-CMM,0.5\n")
    with pytest.raises(InputError, match=r"same depths: line 2 .*, line 3 has \(2, 3"):
        PlacementTable.read(path)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("x")
    (tmp_path / "t.parquet").write_text("no parquet")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match=r"a study directory, a \.csv or a \.parquet"):
        PlacementTable.read(tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="there is no table"):
        PlacementTable.read(tmp_path / "absent.csv")
    with pytest.raises(InputError, match="not a readable table"):
        PlacementTable.read(tmp_path / "t.parquet")
    with pytest.raises(InputError, match="not a readable table"):
        PlacementTable.read(tmp_path / "empty.csv")


def test_only_complete_trials_count():
    table = PlacementTable.of_frame(
        frame(accuracy=[0.1, 0.2, 0.9], state=["complete", "pruned", "complete"])
    )
    assert table.values.tolist() == [0.1, 0.9]
    assert "left out: 1 pruned" in table.notes[0]
    assert "selection of good ones" in table.notes[1]


def test_missing_and_infinite_values_are_left_out_and_said():
    table = PlacementTable.of_frame(frame(accuracy=[0.1, None, float("inf")]))
    assert table.values.tolist() == [0.1]
    assert table.notes == ("2 rows have no finite 'accuracy' and cannot be used",)


def test_one_budget_is_used():
    data = pd.DataFrame(
        {
            "placement": ["C-M"] * 7,
            "accuracy": [1, 2, 3, 4, 5, 6, 7.0],
            "epochs": [5, 5, 5, 5, 10, 10, 20],
        }
    )
    # 10 has half as many trials as 5, 20 has not.
    table = PlacementTable.of_frame(data)
    assert table.values.tolist() == [5, 6] and table.epochs == 10
    assert "only trials of 10 epochs are used; 5 complete" in table.notes[0]


def test_a_run_told_twice_counts_once():
    data = pd.DataFrame(
        {
            "placement": ["CM", "CM", "CM", "MC"],
            "seed": [0, 0, 1, 0],
            "accuracy": [0.2, 0.4, 0.5, 0.6],
        }
    )
    table = PlacementTable.of_frame(data)
    assert table.values.tolist() == pytest.approx([0.3, 0.5, 0.6])
    assert "1 rows repeat" in table.notes[-1]


def test_sampled_column_marks_the_randomised_part():
    data = frame(accuracy=[1, 2, 3.0], sampled=["random", "tpe", "baseline"])
    assert PlacementTable.of_frame(data).randomised.tolist() == [True, False, True]


def test_seeds_become_one_row_a_placement():
    data = pd.DataFrame(
        {
            "placement": ["CM", "MC", "CM", "MC", "MM", "CC", "CC"],
            "seed": [0, 0, 1, 1, 0, 0, 1],
            "accuracy": [1.0, 2, 3, 4, 5, 6, 8],
        }
    )
    means = PlacementMeans.of(PlacementTable.of_frame(data))
    assert means.means.tolist() == [2, 3, 5, 7]
    assert means.counts.tolist() == [2, 2, 1, 2]
    assert means.replicate_df == 3
    assert means.replicate_sd == pytest.approx(2**0.5)
    assert means.bits.tolist() == [[0, 1], [1, 0], [1, 1], [0, 0]]


def test_repeats_that_agree_do_not_add_weight():
    # Eight placements that differ, one of them repeated five times without noise.
    names = ["CCC", "CCM", "CMC", "CMM", "MCC", "MCM", "MMC", "MMM"] + ["CCC"] * 4
    values = [0.1, 0.9, 0.3, 0.5, 0.2, 0.8, 0.4, 0.6] + [0.1] * 4
    data = pd.DataFrame({"placement": names, "accuracy": values})
    means = PlacementMeans.of(PlacementTable.of_frame(data))
    assert means.replicate_sd == 0
    assert means.weights == pytest.approx([1] * 8)


def test_columns_are_found_behind_blanks_and_in_an_index(tmp_path):
    data = frame(accuracy=[1.0, 2, 3])
    written = data.rename(columns={"accuracy": " accuracy "})
    written.to_csv(tmp_path / "a.csv", index=False)
    data.assign(seed=1).set_index(["placement", "seed"]).to_parquet(
        tmp_path / "b.parquet"
    )
    for name in ("a.csv", "b.parquet"):
        table = PlacementTable.read(tmp_path / name)
        assert table.values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("column", [{}, {"seed": [0, 1]}, {"number": [7, 8]}])
def test_a_table_told_twice_gives_no_shorter_intervals_and_says_so(column):
    rng = np.random.default_rng(4)
    bits = np.unique(free_design(rng, 64, (3, 3, 3)), axis=0)
    once = pd.DataFrame(
        {
            "placement": list(map(str, placements(bits, (3, 3, 3)))),
            "accuracy": rng.normal(size=len(bits)),
        }
    )
    twice = pd.concat(
        [
            once.assign(**{name: pair[i] for name, pair in column.items()})
            for i in (0, 1)
        ]
    )
    one, two = (rule_test(PlacementTable.of_frame(part)) for part in (once, twice))
    assert two.end_of_stage == one.end_of_stage and two.verdict == one.verdict
    said = [note for note in two.notes if "copies" in note]
    assert len(said) == 1 and said[0].startswith(f"{len(bits)} rows")
    assert not any("copies" in note for note in one.notes)


def test_an_empty_cluster_column_does_not_hide_the_next_one():
    columns = {"cluster": [None] * 3, "parent": ["a", "a", "b"]}
    table = PlacementTable.of_frame(frame(accuracy=[1, 2, 3], **columns))
    assert table.clusters.tolist() == [0, 0, 1]


def test_scores_without_the_metric_do_not_outvote_trainings():
    few = frame(accuracy=[1, 2, 3], scorer="scratch")
    many = pd.concat([frame(accuracy=np.nan, scorer="supernet")] * 5)
    table = PlacementTable.of_frame(pd.concat([few, many]))
    assert table.values.tolist() == [1, 2, 3]


def test_frames_no_file_could_hold():
    table = frame(accuracy=[1, 2, 3])
    numbered = table.assign(x=1).rename(columns={"x": 5})
    assert PlacementTable.of_frame(numbered).values.tolist() == [1, 2, 3]
    for broken, said in (
        (pd.concat([table, table[["accuracy"]]], axis=1), "two named 'accuracy'"),
        (frame(accuracy=pd.Timestamp("2026-01-01")), "holds datetime64"),
        (frame(accuracy=[1e-160, 2e-160, 0]), "their squares vanish"),
    ):
        with pytest.raises(InputError, match=said):
            PlacementTable.of_frame(broken)


def test_a_placement_in_many_clusters_counts_once():
    """Five placements do not make thirty by being scored six times."""
    names = ["CCC-CCM", "CCM-CMC", "MCC-CCC", "CMC-MCM", "MMC-CCC"]
    rows = pd.DataFrame(
        [(name, cluster) for cluster in range(6) for name in names],
        columns=["placement", "cluster"],
    )
    rows["accuracy"] = np.random.default_rng(0).normal(size=len(rows))
    test = rule_test(rows)
    assert [(slot.num_msa, slot.num_conv) for slot in test.slots][:2] == [
        (2, 3),
        (2, 3),
    ]
    assert test.design["placements_by_num_msas"] == {"1": 2, "2": 2, "3": 1}
    assert any("fewer than 8 placements" in note for note in test.notes)
    assert "5 for" in test.reasons[0] or "cannot be estimated" in test.reasons[0]
