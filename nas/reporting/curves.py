"""The learning curves of every trial, in few bytes.

A curve is thinned to `MAX_POINTS` epochs and kept in half precision (three digits),
because ten thousand trials of a hundred epochs would be 60 MB of text.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from nas.ledger.trial import Trial
from nas.study.layout import StudyLayout
from nas.study.trial_view import read_history

MAX_POINTS = 24
"""Epochs of one curve: more cannot be told apart in a figure this wide (our choice)."""

COLUMNS = ("train_loss", "val_loss", "val_accuracy")


def learning_curves(
    layout: StudyLayout,
    trials: Iterable[Trial],
    tell: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Read the curves of trials.

    Args:
        layout: Files of the study.
        trials: Whose curves.
        tell: Told how many trials have been read.

    Returns:
        ``points``, the number of epochs kept of each trial; ``epoch`` as base64 of
        unsigned 16-bit integers, one trial after the other; and the columns as base64
        of IEEE half-precision floats, little-endian, NaN where nothing is known.
    """
    if not layout.trials.is_dir():
        return {"points": [], "epoch": "", **dict.fromkeys(COLUMNS, "")}
    counts: list[int] = []
    epochs: list[np.ndarray[Any, Any]] = []
    values: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in COLUMNS}
    for index, trial in enumerate(trials):
        history = read_history(layout.trial(trial.number).history)
        epoch = np.array(history.get("epoch", []))
        kept = thinned(len(epoch))
        counts.append(len(kept))
        epochs.append(epoch[kept])
        for name in COLUMNS:
            column = history.get(name, [])
            known = np.array(
                column if len(column) == len(epoch) else [np.nan] * len(epoch)
            )
            values[name].append(known[kept])
        tell(index + 1)
    if not any(counts):
        return {"points": [], "epoch": "", **dict.fromkeys(COLUMNS, "")}
    return {
        "points": counts,
        "epoch": _text(np.concatenate(epochs).clip(0, 65535).astype("<u2")),
        **{name: _text(_halves(np.concatenate(values[name]))) for name in COLUMNS},
    }


def thinned(num_epochs: int) -> np.ndarray[Any, Any]:
    """Which epochs of a curve are kept: evenly spread, both ends included.

    Args:
        num_epochs: Epochs of the curve.

    Returns:
        Indices, at most `MAX_POINTS`.
    """
    count = min(num_epochs, MAX_POINTS)
    return np.linspace(0, num_epochs - 1, count).round().astype(int)


def _halves(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    with np.errstate(over="ignore"):
        halves = values.astype("<f2")
    halves[~np.isfinite(halves)] = np.nan  # a loss above 65,504 has left the picture
    return halves


def _text(array: np.ndarray[Any, Any]) -> str:
    return b64encode(array.tobytes()).decode("ascii")
