"""The one look at the test split, after everything has been chosen.

A search compares candidates on validation images; their best validation accuracy is
therefore optimistic. When the search has ended, the networks on the front and the
baselines classify the test images, each network once, and ``test.csv`` in the study
says how well and when.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nas.ledger.held_out_results import TestResult, read_test, results_of, write_test
from nas.ledger.trial import Trial
from nas.study.layout import StudyLayout, TrialLayout
from search_spaces.architecture import Architecture

if TYPE_CHECKING:
    from nas.data.datasets import Dataset
    from nas.study.study import Study


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
    from nas.exporting.formats import load_weights
    from nas.scoring.from_scratch import default_device
    from nas.scoring.training import validate

    device = default_device()
    images = dataset.image_set(dataset.test)
    parent = study.config.parent
    # What trains may call the function that the config names: it has just done so.
    plugins = () if parent is None else parent.own_modules
    found = []
    for trial in trials:
        weights = TrialLayout(study.trial_directory(trial.number)).weights
        if not weights.exists():
            continue
        architecture = Architecture.from_dict(dict(trial.architecture))
        model = load_weights(architecture, weights, plugins).to(device)
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
                datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )
    return found


def untested_trials(study: "Study", trials: Iterable[Trial]) -> list[Trial]:
    """Those of some trials that have weights and no result on the test images.

    Args:
        study: The study.
        trials: Some of its trials.

    Raises:
        InputError: ``test.csv`` is damaged.
    """
    recorded = results_of(study.trials(), read_test(StudyLayout(study.path).test))
    return [
        trial
        for trial in trials
        if trial.number not in recorded
        and TrialLayout(study.trial_directory(trial.number)).weights.exists()
    ]


def look_once(
    study: "Study", dataset: "Callable[[], Dataset]", trials: Iterable[Trial]
) -> list[TestResult]:
    """Test the trials that have not been tested yet, and record it.

    Args:
        study: The study.
        dataset: Gives its images; called if there is something to test.
        trials: The networks whose results are wanted.

    Returns:
        The results of these trials, those of earlier looks included. Trials whose
        weights are gone and that were never tested are left out.

    Raises:
        InputError: ``test.csv`` or a weights file is damaged.
    """
    path = StudyLayout(study.path).test
    wanted = list(trials)
    recorded = results_of(study.trials(), read_test(path))
    if untested := untested_trials(study, wanted):
        for result in final_test(study, dataset(), untested):
            recorded[result.number] = result
        write_test(path, [recorded[number] for number in sorted(recorded)])
    return [recorded[t.number] for t in wanted if t.number in recorded]
