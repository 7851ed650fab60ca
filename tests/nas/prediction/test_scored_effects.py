import itertools
import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from nas.commands.rule import command
from nas.prediction.scored_effects import scored_effects
from nas.rule.placement_table import PlacementTable
from search_spaces.errors import InputError

BITS = np.array(list(itertools.product([0, 1], repeat=9)), dtype=float)
NAMES = [
    "-".join("".join("CM"[int(b)] for b in row[i : i + 3]) for i in (0, 3, 6))
    for row in BITS
]
# Stage 1 has no strided block, the firsts of stages 2 and 3 are left out.
END_OF_STAGE = np.array([-0.5, -0.5, 1, 0, -1, 1, 0, -1, 1]) / 3


def drawn(rng, interactions):
    """A function of placements: slots, and pairs of slots beside them."""
    signs = 2 * BITS - 1
    pairs = [signs[:, i] * signs[:, j] for i in range(9) for j in range(i)]
    slots = signs @ rng.normal(size=9)
    both = np.stack(pairs, axis=1) @ rng.normal(size=36)
    return slots / slots.std() + interactions * both / both.std()


def slot_effects(values):
    return np.array([values[b == 1].mean() - values[b == 0].mean() for b in BITS.T])


def trained(rng, truth, num, noise):
    rows = rng.choice(512, num, replace=False)
    values = truth[rows] + rng.normal(0, noise, num)
    return PlacementTable(
        "planted", "accuracy", tuple(NAMES[row] for row in rows), values
    )


def scores(values):
    return pd.DataFrame({"placement": NAMES, "supernet": 0, "nll": values})


def test_it_is_the_control_variate_of_the_formula():
    """Against slots and score regressed by hand: effect + slope x (all - subset)."""
    rng = np.random.default_rng(0)
    truth = drawn(rng, 0.7)
    score = 3 * truth + drawn(rng, 1.0) + 7
    table = trained(rng, truth, 60, 0.3)
    found = scored_effects(table, scores(score))
    rows = [NAMES.index(name) for name in table.placements]
    ones = np.ones((60, 1))
    slots = np.concatenate([ones, BITS[rows]], axis=1)
    alone = np.linalg.lstsq(slots, table.values, rcond=None)[0][1:]
    subset = np.linalg.lstsq(slots, score[rows], rcond=None)[0][1:]
    both = np.concatenate([slots, score[rows, None]], axis=1)
    slope = np.linalg.lstsq(both, table.values, rcond=None)[0][-1]
    expected = alone + slope * (slot_effects(score) - subset)
    assert [one.scored.effect for one in found.slots] == pytest.approx(expected)
    assert [one.alone.effect for one in found.slots] == pytest.approx(alone)
    ends = found.contrasts[0]
    assert ends.name == "end_of_stage"
    assert ends.scored.effect == pytest.approx(END_OF_STAGE @ expected)
    assert ends.worth > 1 and found.num_scored == 512


def test_a_score_of_slots_alone_says_nothing_new():
    rng = np.random.default_rng(1)
    table = trained(rng, drawn(rng, 0.5), 60, 0.3)
    found = scored_effects(table, scores(drawn(rng, 0.0)))
    for one in found.slots:
        assert one.scored.effect == pytest.approx(one.alone.effect)
    assert "sum over slots" in found.slope.reason


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (slice(0, 100), "need"),
        (slice(1, 512), "every trained placement needs a score"),
    ],
)
def test_scores_of_too_few_placements_are_refused(kept, message):
    rng = np.random.default_rng(2)
    truth = drawn(rng, 0.5)
    values = truth[:60] + rng.normal(0, 0.3, 60)
    table = PlacementTable("planted", "accuracy", tuple(NAMES[:60]), values)
    with pytest.raises(InputError, match=message):
        scored_effects(table, scores(truth)[kept])


def test_rows_that_share_luck_are_refused():
    rng = np.random.default_rng(3)
    frame = scores(drawn(rng, 0.5)).rename(columns={"nll": "accuracy"})
    frame = pd.concat([frame.assign(supernet=n) for n in range(5)])
    table = PlacementTable.of_frame(frame)
    with pytest.raises(InputError, match="share luck"):
        scored_effects(table, scores(drawn(rng, 0.5)))


def test_the_command_prints_both(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    rng = np.random.default_rng(4)
    truth = drawn(rng, 0.5)
    table = trained(rng, truth, 60, 0.3)
    frame = pd.DataFrame({"placement": table.placements, "accuracy": table.values})
    frame.to_csv(tmp_path / "trained.csv", index=False)
    scores(-truth).to_csv(tmp_path / "scores.csv", index=False)
    words = [str(tmp_path / "trained.csv"), "--scores", str(tmp_path / "scores.csv")]
    data = json.loads(CliRunner().invoke(command, [*words, "--format", "json"]).stdout)
    assert data["score"] == "supernet_nll" and data["slope"]["effect"] < 0
    first = data["contrasts"][0]
    assert first["with_scores"]["standard_error"] < first["alone"]["standard_error"]
    shown = CliRunner().invoke(command, words).stdout
    assert "end of stage" in shown and "slot 3.3" in shown and "worth" in shown
    # Every number of a row in one line, and no line wider than the terminal.
    rows = [line for line in shown.splitlines() if line[:1] in "┏┃│└"]
    assert len(rows) == 15 and max(map(len, rows)) <= 80
    for more in (["--budgets"], ["--plot", "x.png"], ["--smallest-effect", "1"]):
        assert isinstance(
            CliRunner().invoke(command, [*words, *more]).exception, InputError
        )


@pytest.mark.slow
@pytest.mark.parametrize("luck", [0.5, 2.0])
def test_it_is_unbiased_and_covers_whatever_a_supernet_shares(luck):
    """300 tables of 48 trainings; each supernet has slots and pairs of its own as luck,
    which all of its 512 rows share. Taken as rows of their own they would be wrong."""
    inside, errors, plain = [], [], []
    for number in range(300):
        rng = np.random.default_rng([number, int(10 * luck)])
        truth = drawn(rng, 0.7)
        score = truth + luck * drawn(rng, 1.0)
        true = END_OF_STAGE @ slot_effects(truth)
        found = scored_effects(trained(rng, truth, 48, 0.5), scores(score))
        one = found.contrasts[0]
        low, high = one.scored.ci
        inside.append(low <= true <= high)
        errors.append(one.scored.effect - true)
        plain.append(one.alone.effect - true)
    # binomial: 95% of 300 give or take three standard errors
    assert 0.912 < np.mean(inside) < 0.988
    assert abs(np.mean(errors)) < 3.5 * np.std(errors) / 300**0.5
    assert np.std(errors) < (0.9 if luck < 1 else 1.05) * np.std(plain)
