"""The one look at the test split, after everything has been chosen.

A search compares candidates on validation images; their best validation accuracy is
therefore optimistic. When the search has ended, the networks on the front and the
baselines classify the test images once, and ``test.csv`` in the study says how well.
Nothing reads that file back into the search.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.ledger.atomic_file import write_atomically
from nas.ledger.trial import Trial
from nas.study.layout import StudyLayout, TrialLayout
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.data.datasets import Dataset
    from nas.study.study import Study


@dataclass(frozen=True)
class TestResult:
    """How one trained network does on the test images.

    Attributes:
        number: Number of the trial.
        placement: Its placement.
        architecture: Id of its architecture.
        seed: Seed of the run.
        epochs: Budget in epochs.
        baseline: Name of the baseline that it is, or ``None``.
        test_accuracy: Top-1, fraction.
        test_accuracy_se: Binomial standard error of it.
        test_nll: Mean negative log-likelihood, nats.
        num_images: Test images.
    """

    __test__ = False  # it is no pytest class

    number: int
    placement: str
    architecture: str
    seed: int
    epochs: int
    baseline: str | None
    test_accuracy: float
    test_accuracy_se: float
    test_nll: float
    num_images: int


def chosen_trials(study: "Study") -> list[Trial]:
    """The trials that are tested: the front, and the baselines beside it."""
    from nas.pareto.table import ParetoTable

    table = ParetoTable.of(study)
    return [
        trial
        for trial, on_front in zip(table.trials, table.front.is_pareto, strict=True)
        if on_front or trial.baseline
    ]


def final_test(
    study: "Study", dataset: "Dataset", trials: Iterable[Trial]
) -> list[TestResult]:
    """Classify the test images with trained networks of a study.

    Args:
        study: The study; its config says with which precision.
        dataset: The images of the study, test split included.
        trials: Which networks.

    Returns:
        One result a trial, in the given order. Trials whose weights are gone are
        left out.

    Raises:
        InputError: A weights file is damaged.
    """
    from nas.export.formats import load_weights
    from nas.scoring.from_scratch import default_device
    from nas.scoring.training import validate

    device = default_device()
    images = dataset.image_set(dataset.test)
    found = []
    for trial in trials:
        weights = TrialLayout(study.trial_directory(trial.number)).weights
        if not weights.exists():
            continue
        architecture = Architecture.from_dict(dict(trial.architecture))
        model = load_weights(architecture, weights).to(device)
        nll, accuracy = validate(model, images, study.config.training, device)
        error = (accuracy * (1 - accuracy) / max(1, len(images) - 1)) ** 0.5
        found.append(
            TestResult(
                trial.number,
                trial.placement,
                architecture.id,
                trial.seed,
                trial.epochs,
                trial.baseline,
                accuracy,
                error,
                nll,
                len(images),
            )
        )
    return found


def write_test(study_path: Path, results: Iterable[TestResult]) -> Path:
    """Write ``test.csv`` into a study, replacing an earlier one whole."""
    path = StudyLayout(study_path).test
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [one.name for one in fields(TestResult)])
    writer.writeheader()
    writer.writerows(asdict(result) for result in results)
    write_atomically(path, text.getvalue())
    return path


def read_test(study_path: Path) -> list[TestResult]:
    """Read ``test.csv`` of a study.

    Args:
        study_path: The study directory.

    Returns:
        Its rows; none if the search has not ended.

    Raises:
        InputError: The file is damaged.
    """
    path = StudyLayout(study_path).test
    if not path.exists():
        return []
    convert: dict[str, Any] = {one.name: one.type for one in fields(TestResult)}
    found: list[TestResult] = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                values: dict[str, Any] = {
                    name: (row[name] or None) if name == "baseline" else kind(row[name])
                    for name, kind in convert.items()
                }
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path} is damaged near line {len(found) + 2}: {error}"
                ) from error
            found.append(TestResult(**values))
    return found
