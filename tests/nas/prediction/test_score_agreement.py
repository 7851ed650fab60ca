"""Agreement of scores and results, on tables whose truth is planted."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest

from nas.cli import main
from nas.prediction.score_agreement import COUNT, score_agreement
from search_spaces import InputError

PLACEMENTS = [
    "-".join(("".join(p[:3]), "".join(p[3:]))) for p in product("CM", repeat=6)
]


def write(path, **columns):
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.fixture
def tables(tmp_path):
    """Results, and scores of which one is perfect, one reversed and one noise."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0.7, 0.05, len(PLACEMENTS))
    results = write(tmp_path / "r.csv", placement=PLACEMENTS, accuracy=truth)
    order = rng.permutation(len(PLACEMENTS))
    scores = write(
        tmp_path / "s.csv",
        placement=[PLACEMENTS[i] for i in order],
        accuracy=rng.normal(0, 1, len(PLACEMENTS)),
        nll=-np.exp(truth[order]),
        macs=truth[order] ** -1,
    )
    return results, scores


def by_name(found):
    return {one.name: one for one in found.predictors}


def test_a_perfect_score_and_a_reversed_one(tables):
    found = by_name(score_agreement(*tables))
    for kind in ("spearman", "kendall"):
        assert getattr(found["nll"], kind).value == pytest.approx(1)
        assert getattr(found["nll"], kind).low == pytest.approx(1)
        assert getattr(found["macs"], kind).value == pytest.approx(-1)
        noise = getattr(found["accuracy"], kind)
        assert noise.low < 0 < noise.high
    assert [one.is_score for one in found.values()] == [True, True, False, False]
    assert found[COUNT].name == COUNT


def test_a_minimised_metric_turns_the_sign(tables, tmp_path):
    results, scores = tables
    frame = pd.read_csv(results)
    losses = write(
        tmp_path / "l.csv", placement=frame["placement"], nll=-frame["accuracy"]
    )
    found = by_name(score_agreement(losses, scores, metric="nll"))
    assert found["nll"].spearman.value == pytest.approx(1)


def test_the_number_of_replaced_blocks_counts_every_other_kind(tmp_path):
    placements = ["CCC", "CPC", "CPM", "MPS"]
    results = write(tmp_path / "r.csv", placement=placements, accuracy=[4, 3, 2, 1])
    scores = write(tmp_path / "s.csv", placement=placements, accuracy=[1, 1, 1, 2])
    found = by_name(score_agreement(results, scores))
    assert found[COUNT].spearman.value == pytest.approx(-1)


def test_the_ceiling_is_what_the_truth_itself_reaches(tmp_path):
    """Over many draws: the mean agreement of the truth, and the mean ceiling."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=len(PLACEMENTS))
    scores = write(tmp_path / "s.csv", placement=PLACEMENTS, accuracy=truth)
    reached, allowed = [], []
    for _ in range(8):
        noisy = truth[:, None] + rng.normal(0, 0.7, (len(truth), 2))
        results = write(
            tmp_path / "r.csv",
            placement=PLACEMENTS * 2,
            seed=[0] * len(truth) + [1] * len(truth),
            accuracy=noisy.T.ravel(),
        )
        found = score_agreement(results, scores)
        assert found.num_repeated == len(PLACEMENTS)
        reached.append(by_name(found)["accuracy"].spearman.value)
        allowed.append(found.ceiling.spearman)
    assert np.mean(reached) == pytest.approx(np.mean(allowed), abs=0.04)
    assert 0.7 < np.mean(allowed) < 0.95


def test_the_interval_covers_the_truth(tmp_path):
    """Bivariate normal of known correlation; coverage of 95% within its own error."""
    rng = np.random.default_rng(2)
    rho = 0.6
    wanted = 6 / np.pi * np.arcsin(rho / 2)
    inside = 0
    for _ in range(25):
        left = rng.normal(size=len(PLACEMENTS))
        right = rho * left + np.sqrt(1 - rho**2) * rng.normal(size=len(PLACEMENTS))
        results = write(tmp_path / "r.csv", placement=PLACEMENTS, accuracy=right)
        scores = write(tmp_path / "s.csv", placement=PLACEMENTS, accuracy=left)
        one = by_name(score_agreement(results, scores))["accuracy"].spearman
        inside += one.low <= wanted <= one.high
    assert inside >= 20


def test_what_was_chosen_by_its_score_is_left_out(tmp_path):
    """A selection on the score alone must not judge the score."""
    rng = np.random.default_rng(3)
    results = write(
        tmp_path / "r.csv",
        placement=PLACEMENTS,
        accuracy=rng.normal(size=len(PLACEMENTS)),
        baseline=["all_conv"] + [""] * (len(PLACEMENTS) - 1),
        sampled=[""] + ["random"] * 30 + ["promising"] * (len(PLACEMENTS) - 31),
    )
    scores = write(
        tmp_path / "s.csv", placement=PLACEMENTS, nll=np.arange(len(PLACEMENTS))
    )
    found = score_agreement(results, scores)
    assert (found.part, found.num_placements) == ("random", 30)
    assert score_agreement(results, scores, part="all").num_placements == 64


def test_the_command_prints_what_the_function_finds(tables, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    results, scores = tables
    for output in ("json", "table"):
        with pytest.raises(SystemExit) as stop:
            main(
                ["agreement", str(results), "--scores", str(scores), "--format", output]
            )
        assert stop.value.code == 0
        text = capsys.readouterr().out
        if output == "json":
            assert json.loads(text) == score_agreement(results, scores).to_dict()
        else:
            assert "+1.00 [+1.00, +1.00]" in text and "is not known" in text
            assert max(len(one) for one in text.splitlines() if one[:1] in "┏┃│") <= 80


def test_bad_input(tables, tmp_path):
    results, scores = tables
    with pytest.raises(InputError, match="search in two steps"):
        score_agreement(results)
    with pytest.raises(InputError, match="no metric 'speed'"):
        score_agreement(results, scores, metric="speed")
    other = write(tmp_path / "o.csv", placement=["CC-CC"], accuracy=[1.0])
    with pytest.raises(InputError, match="at least three placements"):
        score_agreement(results, other)
    with pytest.raises(InputError, match="part is random or all"):
        score_agreement(results, scores, part="best")


def test_a_table_of_any_declared_metric_has_its_direction(tables, tmp_path):
    results, _ = tables
    truth = pd.read_csv(results)["accuracy"]
    errors = write(tmp_path / "e.csv", placement=PLACEMENTS, ece=-truth)
    found = by_name(score_agreement(errors, results, metric="ece"))
    assert found["accuracy"].kendall.value == pytest.approx(1)


def test_copies_are_no_seeds_and_empty_columns_no_scores(tables, tmp_path):
    results, scores = tables
    frame = pd.read_csv(results).assign(seed=0)
    twice = tmp_path / "twice.csv"
    pd.concat([frame, frame]).to_csv(twice, index=False)
    gaps = tmp_path / "gaps.csv"
    pd.read_csv(scores).assign(kl_to_parent=np.nan).to_csv(gaps, index=False)
    found = score_agreement(twice, gaps)
    assert found.num_placements == len(PLACEMENTS)
    assert found.num_repeated == 0 and found.ceiling is None
