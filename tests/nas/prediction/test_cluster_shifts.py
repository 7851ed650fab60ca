"""Rows of supernets or splits that shift all of their values together."""

import numpy as np
import pandas as pd
import pytest
from prediction_plants import NINE, additive

from nas.prediction.cluster_shifts import cluster_shifts
from nas.prediction.prediction import predict


def clustered(truth, rng, num, shifts, noise, by_value=False):
    """Placements each in one cluster, at random or the better ones in later ones."""
    chosen = rng.choice(len(truth), num, replace=False)
    cluster = rng.integers(0, len(shifts), num)
    if by_value:
        order = np.argsort(np.argsort(truth.to_numpy()[chosen]))
        cluster = order * len(shifts) // num
    values = truth.to_numpy()[chosen] + np.asarray(shifts)[cluster]
    values = values + rng.normal(0, noise, num)
    names = truth.index[chosen]
    return pd.DataFrame({"placement": names, "cluster": cluster, "accuracy": values})


@pytest.mark.parametrize("by_value", [False, True])
def test_shifts_are_told_from_the_placements_of_a_cluster(by_value):
    rng = np.random.default_rng(0)
    truth, _ = additive(NINE, rng)
    planted = np.array([3.0, 0.0, -3.0])
    frame = clustered(truth, rng, 120, planted, 0.2, by_value)
    labels = frame["cluster"]
    found = cluster_shifts(
        frame["accuracy"].to_numpy(), frame["placement"].tolist(), labels.tolist()
    )
    wanted = planted[labels] - planted[labels].mean()
    assert found == pytest.approx(wanted, abs=0.3)


def test_without_shifts_hardly_anything_is_taken_away():
    rng = np.random.default_rng(1)
    truth, _ = additive(NINE, rng)
    sizes = []
    for _ in range(20):
        frame = clustered(truth, rng, 60, np.zeros(4), 1.0)
        found = cluster_shifts(
            frame["accuracy"].to_numpy(),
            frame["placement"].tolist(),
            frame["cluster"].tolist(),
        )
        sizes.append(0.0 if found is None else found.std())
    assert np.mean(sizes) < 0.15


def test_too_few_rows_tell_nothing():
    values, names = np.arange(6.0), ["CC", "CM", "MC", "MM", "CC", "CM"]
    assert cluster_shifts(values, names, list("abcdef")) is None
    assert cluster_shifts(values, names, ["a"] * 6) is None


def test_predictions_are_better_for_it_and_say_so():
    """Three clusters 1.5 SD apart, each placement in one."""
    rng = np.random.default_rng(2)
    errors = {"known": [], "unknown": []}
    for _ in range(3):
        truth, _ = additive(NINE, rng, 0.5)
        frame = clustered(truth, rng, 60, [1.5, 0.0, -1.5], 0.3)
        blind = frame.drop(columns="cluster")
        for name, table in (("known", frame), ("unknown", blind)):
            found = predict(table)
            means = found.table.set_index("placement")["mean"]
            off = (means - truth[means.index]).to_numpy()
            errors[name].append((off - off.mean()).std())
            said = any("of one 'cluster' have in common" in one for one in found.notes)
            assert said == (name == "known")
    assert np.mean(errors["known"]) < 0.6 * np.mean(errors["unknown"])
