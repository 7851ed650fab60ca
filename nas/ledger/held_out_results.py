"""How trained networks did on the test images: ``test.csv`` in a study.

The test images are looked at once, when everything has been chosen; this file records
what was seen, and when. Nothing reads it back into a search: it is shown beside the
validation values, and not among the metrics, so that nothing can be chosen by it.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from nas.csv_text import csv_row, plain_cell
from nas.ledger.atomic_file import write_atomically
from nas.ledger.regular_file import read_regular
from nas.ledger.trial import Trial
from search_spaces.errors import InputError

TEST_COLUMNS = ("test_accuracy", "test_accuracy_se", "test_nll")
"""What tables show of a result, and how the columns are called."""


@dataclass(frozen=True)
class TestResult:
    """How one trained network does on the test images.

    Attributes:
        number: Number of the trial.
        placement: Its placement.
        architecture: Id of its architecture.
        seed: Seed of the run.
        epochs: Budget in epochs.
        baseline: Name of the baseline that it is, if it is one.
        test_accuracy: Top-1, fraction.
        test_accuracy_se: Binomial standard error of it.
        test_nll: Mean negative log-likelihood, nats.
        num_images: Test images.
        looked: When they were looked at, ISO 8601 in UTC; ``""`` in files of earlier
            versions.
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
    looked: str = ""

    def is_of(self, trial: Trial) -> bool:
        """Whether this is about the network that a trial has trained."""
        same_run = (self.number, self.placement, self.seed) == (
            trial.number,
            trial.placement,
            trial.seed,
        )
        known = trial.architecture_id
        return same_run and (not known or self.architecture == known)

    def columns(self) -> dict[str, float]:
        """The values of `TEST_COLUMNS`."""
        return {name: getattr(self, name) for name in TEST_COLUMNS}


def results_of(
    trials: Iterable[Trial], results: Iterable[TestResult]
) -> dict[int, TestResult]:
    """The results that belong to trials of a study.

    Args:
        trials: The trials.
        results: What `read_test` gives.

    Returns:
        Result by number of the trial; those of other networks are left out.
    """
    known = {trial.number: trial for trial in trials}
    return {
        one.number: one
        for one in results
        if one.number in known and one.is_of(known[one.number])
    }


def write_test(path: Path, results: Iterable[TestResult]) -> None:
    """Write the ``test.csv`` of a study, replacing an earlier one whole.

    Args:
        path: The file.
        results: Its rows.

    Raises:
        OSError: It cannot be written; names the file.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [one.name for one in fields(TestResult)])
    writer.writeheader()
    writer.writerows(csv_row(asdict(result)) for result in results)
    write_atomically(path, text.getvalue())


def read_test(path: Path) -> list[TestResult]:
    """Read the ``test.csv`` of a study.

    Args:
        path: The file.

    Returns:
        Its rows; none if there is no such file, because nothing was looked at yet.

    Raises:
        InputError: The file is damaged.
    """
    if not path.exists():
        return []
    try:
        text = read_regular(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    found: list[TestResult] = []
    for row in csv.DictReader(io.StringIO(text, newline="")):
        try:
            found.append(_result(row))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} is damaged near line {len(found) + 2}: {error}"
            ) from error
    return found


def _result(row: dict[str, str]) -> TestResult:
    # earlier versions named the column is_baseline, and did not say when they looked
    baseline = row["baseline"] if "baseline" in row else row["is_baseline"]
    return TestResult(
        number=int(row["number"]),
        placement=plain_cell(row["placement"]),
        architecture=plain_cell(row["architecture"]),
        seed=int(row["seed"]),
        epochs=int(row["epochs"]),
        baseline=plain_cell(baseline) or None,
        test_accuracy=float(row["test_accuracy"]),
        test_accuracy_se=float(row["test_accuracy_se"]),
        test_nll=float(row["test_nll"]),
        num_images=int(row["num_images"]),
        looked=row.get("looked") or "",
    )
