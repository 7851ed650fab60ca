import csv
import math
from base64 import b64decode

import numpy as np
import pytest

from nas.reporting.curves import COLUMNS, MAX_POINTS, learning_curves, thinned
from nas.study.layout import StudyLayout


def write_history(layout, number, rows):
    file = layout.trial(number).history
    file.parent.mkdir(parents=True)
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["epoch", *COLUMNS])
        writer.writerows(rows)


def decode(curves, name, kind):
    return np.frombuffer(b64decode(curves[name]), dtype=kind)


def test_curves_of_all_trials_one_after_the_other(tmp_path, make_trial):
    layout = StudyLayout(tmp_path)
    write_history(layout, 0, [(1, 2.5, 2.25, 0.5), (2, 1.5, 1.25, 0.75)])
    write_history(layout, 2, [(1, math.inf, 1e9, 0.125)])
    seen = []
    curves = learning_curves(layout, [make_trial(n) for n in range(3)], seen.append)
    assert curves["points"] == [2, 0, 1] and seen == [1, 2, 3]
    assert decode(curves, "epoch", "<u2").tolist() == [1, 2, 1]
    assert decode(curves, "val_accuracy", "<f2").tolist() == [0.5, 0.75, 0.125]
    losses = decode(curves, "train_loss", "<f2")
    assert losses[:2].tolist() == [2.5, 1.5] and np.isnan(losses[2])
    assert np.isnan(decode(curves, "val_loss", "<f2")[2])  # beyond half precision


def test_a_study_without_files_has_no_curves(tmp_path, make_trial):
    assert learning_curves(StudyLayout(tmp_path), [make_trial(0)])["points"] == []


def test_three_digits_are_kept(tmp_path, make_trial):
    layout = StudyLayout(tmp_path)
    values = np.random.default_rng(0).uniform(0.01, 5, 20)
    write_history(layout, 0, [(e + 1, v, v, v) for e, v in enumerate(values)])
    curves = learning_curves(layout, [make_trial(0)])
    assert decode(curves, "val_loss", "<f2") == pytest.approx(values, rel=6e-4)


@pytest.mark.parametrize("num", [0, 1, 2, MAX_POINTS, MAX_POINTS + 1, 1000])
def test_a_long_curve_keeps_its_ends(num):
    kept = thinned(num).tolist()
    assert len(kept) == min(num, MAX_POINTS) == len(set(kept))
    assert kept == sorted(kept)
    if num:
        assert kept[0] == 0 and kept[-1] == num - 1
