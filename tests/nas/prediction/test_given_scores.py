"""Scores from elsewhere as covariates: joined by placement, weighed by trainings."""

import json

import numpy as np
import pandas as pd
import pytest
from prediction_plants import NINE, additive, table
from scipy.stats import kendalltau

from nas.cli import main
from nas.prediction.given_scores import with_scores
from nas.prediction.prediction import predict
from nas.prediction.trained import TrainedTable
from search_spaces.errors import InputError


@pytest.fixture(scope="module")
def plant():
    """A truth that letters explain in part, trainings of it, and scores of it all."""
    rng = np.random.default_rng(0)
    truth, _ = additive(NINE, rng)
    truth = truth + rng.normal(0, 1.0, len(truth))
    trained = table(truth, rng, 60, 0.3)
    scores = pd.concat(
        pd.DataFrame(
            {
                "placement": truth.index,
                "seed": supernet,
                "supernet": supernet,
                "scorer": "supernet",
                "state": "complete",
                "nll": 3 - truth.to_numpy() + rng.normal(0, 0.8, len(truth)),
                "accuracy": 0.1 * truth.to_numpy(),
                "macs": 5.0,
            }
        )
        for supernet in range(4)
    )
    return truth, trained, scores


def test_rows_of_all_supernets_are_averaged(plant):
    _, trained, scores = plant
    joined, names = with_scores(TrainedTable.of_frame(trained), scores)
    assert names == ("supernet_nll",)
    expected = scores.groupby("placement")["nll"].mean()
    found = joined.known["supernet_nll"]
    assert len(found) == 512
    assert found.to_dict() == pytest.approx(expected.to_dict())
    assert "512 placements, 60 of the 60 trained ones" in joined.notes[-1]


def test_good_scores_help_with_what_letters_cannot_tell(plant):
    truth, trained, scores = plant
    plain, helped = predict(trained), predict(trained, scores=scores)
    assert helped.covariates == ("supernet_nll",)

    def tau(prediction):
        rows = prediction.table[prediction.table["num_trainings"] == 0]
        return kendalltau(rows["mean"], truth[rows["placement"]])[0]

    assert tau(helped) > tau(plain) + 0.1
    trust = helped.trust
    assert trust.trivial["supernet_nll"].kendall < -0.5
    assert trust.within["supernet_nll"].kendall < -0.4
    json.dumps(helped.to_dict(), allow_nan=False)


def test_scores_of_pure_noise_do_no_harm(plant):
    truth, trained, scores = plant
    rng = np.random.default_rng(1)
    noise = scores.assign(nll=rng.normal(size=len(scores)))
    plain, other = predict(trained), predict(trained, scores=noise)
    taus = [
        kendalltau(one.table["mean"], truth[one.table["placement"]])[0]
        for one in (plain, other)
    ]
    assert taus[1] > taus[0] - 0.05
    assert abs(other.trust.within["supernet_nll"].kendall) < 0.25


def test_a_plain_table_gives_its_columns(plant):
    truth, trained, _ = plant
    trained = trained.assign(nll=1.0 - trained["accuracy"])
    given = pd.DataFrame({"placement": truth.index, "guess": truth, "nll": truth**2})
    given["accuracy"], given["params"], given["same"] = 1.0, 2.0, 3.0
    joined, names = with_scores(TrainedTable.of_frame(trained), given)
    assert names == ("guess", "score_nll")
    assert joined.known["nll"].notna().sum() == 60


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"placement": ["CC-CC"], "guess": [1.0]}, "depths .*3, 3, 3.*has CC-CC"),
        ({"placement": ["CCC-CCC-CCC"] * 2, "accuracy": [1.0, 2.0]}, "has none"),
        ({"guess": [1.0]}, "has a column 'placement'"),
    ],
)
def test_tables_without_scores_are_told(plant, given, message):
    table = TrainedTable.of_frame(plant[1])
    with pytest.raises(InputError, match=message):
        with_scores(table, pd.DataFrame(given))


def test_scores_of_other_placements_alone_are_told(plant):
    _, trained, scores = plant
    others = scores[~scores["placement"].isin(trained["placement"])]
    with pytest.raises(InputError, match="scores none of the 60 trained placements"):
        with_scores(TrainedTable.of_frame(trained), others)


def test_on_the_command_line(plant, tmp_path, capsys):
    _, trained, scores = plant
    trained.to_csv(tmp_path / "trained.csv", index=False)
    scores.to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(SystemExit) as stop:
        main(
            ["predict", str(tmp_path / "trained.csv"), "--scores",
             str(tmp_path / "scores.csv"), "--top", "2"]
        )  # fmt: skip
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert "supernet_nll" in out and "Kendall, equal counts" in out


def test_a_gap_in_a_score_does_not_lose_the_score(plant):
    truth, trained, _ = plant
    scores = pd.DataFrame({"placement": truth.index, "proxy": truth.to_numpy()})
    scores.loc[scores["placement"] == truth.index[0], "proxy"] = np.nan
    joined, names = with_scores(TrainedTable.of_frame(trained), scores)
    assert names == ("proxy",)
    assert joined.known["proxy"].notna().sum() == len(truth) - 1
