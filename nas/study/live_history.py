"""history.csv of a trial while it is trained: how far it is, for those who watch."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.ledger.atomic_file import write_atomically
from nas.ledger.regular_file import read_regular
from nas.study.layout import TrialLayout


@dataclass(frozen=True)
class EpochsDone:
    """How far a trial is.

    Attributes:
        number: Epochs that are done.
        last: The columns of the last one, e.g. ``val_accuracy``.
    """

    number: int = 0
    last: Mapping[str, float] = field(default_factory=dict)


def write_history(trial: TrialLayout, epochs: Sequence[Mapping[str, Any]]) -> None:
    """Write the training curve so far.

    Args:
        trial: Files of the trial.
        epochs: One record per epoch, all of the same columns.
    """
    trial.directory.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(epochs[0]))
    writer.writeheader()
    writer.writerows(epochs)
    write_atomically(trial.history, text.getvalue())


def read_epochs(trial: TrialLayout) -> EpochsDone:
    """How many epochs of a trial are done, and the last one; never raises."""
    try:
        text = read_regular(trial.history).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        if not rows:
            return EpochsDone()
        last = {name: float(value) for name, value in rows[-1].items()}
        return EpochsDone(int(last["epoch"]), last)
    except (OSError, ValueError, TypeError, KeyError):
        return EpochsDone()
