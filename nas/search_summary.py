"""What a search says at its beginning and at its end."""

from collections import Counter
from typing import TYPE_CHECKING

from nas.ledger.trial import Trial, TrialState
from nas.scoring.held_out_test import chosen_trials, untested_trials
from nas.study.study import Study
from nas.terminal import say
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.data.datasets import Dataset


def images_text(dataset: "Dataset") -> str:
    """How many images of how many classes a data set has, in one line."""
    return (
        f"images: {len(dataset.train)} for training, {len(dataset.validation)} for "
        f"validation, {len(dataset.test)} for testing, of {dataset.num_classes} classes"
    )


def is_over(study: Study, num_trials: int | None) -> bool:
    """Whether a study needs neither training nor a look at the test images.

    Args:
        study: The study.
        num_trials: Trials that are wanted; ``None`` for those it was to have.
    """
    if not study.has_ended(num_trials):
        return False
    try:
        return not untested_trials(study, chosen_trials(study))
    except InputError:  # a damaged table of results: who looks at the images tells
        return False


def leave_if_over(study: Study, num_trials: int | None, *, quiet: bool) -> bool:
    """Say that a study is over and how it went, and write its table, if it is.

    Args:
        study: The study.
        num_trials: Trials that are wanted; ``None`` for those it was to have.
        quiet: Say nothing.

    Returns:
        Whether it is.
    """
    if not is_over(study, num_trials):
        return False
    if not quiet:
        _say_over(study)
    study.write_table()
    return True


def _say_over(study: Study) -> None:
    say(
        "every training has ended: nothing is trained again"
        if study.config.search.sampler == "given"  # chosen, so that there are no more
        else "every trial has ended; to go on, ask for more of them: "
        f"nas resume {study.path} --trials N",
        err=True,
    )
    trials = study.trials()
    say(summary(trials, exhausted=study.is_exhausted), err=True)
    for line in remarks(study, trials, None):
        say(line, err=True)


def chance_warning(trials: list[Trial], num_classes: int) -> str:
    """A line if no trained network is better than guessing, else nothing.

    Args:
        trials: All trials.
        num_classes: Classes of the data.

    Returns:
        The line. Better than guessing: the best accuracy exceeds one over the number
        of classes by two standard errors of a guess (our choice).
    """
    found = [
        (t.metrics["accuracy"], t.standard_errors.get("accuracy", 0.0))
        for t in trials
        if t.state == TrialState.COMPLETE and "accuracy" in t.metrics
    ]
    if not found:
        return ""
    best, error = max(found)
    if best > 1 / num_classes + 2 * error:
        return ""
    return (
        f"warning: no network is better than guessing (best accuracy {best:.3g}, "
        f"chance {1 / num_classes:.3g}): fronts, figures and exports of this study "
        "mean nothing; train longer or with more images"
    )


def summary(trials: list[Trial], *, exhausted: bool) -> str:
    """What a search says at its end.

    Args:
        trials: All trials.
        exhausted: Whether it ended because nothing untrained was left.

    Returns:
        Counts by state; each reason for failures with its count.
    """
    kept = [trial for trial in trials if trial.retried_as is None]
    counts = Counter(str(trial.state) for trial in kept)
    text = f"{len(kept)} trials: " + ", ".join(
        f"{counts[state]} {state}" for state in TrialState if counts[state]
    )
    if num_lost := sum(trial.was_lost for trial in trials):
        text += f"; lost with their worker and queued again: {num_lost}"
    if num_stopped := sum(trial.was_interrupted for trial in trials):
        text += f"; stopped with the search and queued again: {num_stopped}"
    if exhausted:
        text += "; the space is used up"
    for reason in reasons(kept):
        text += f"\n  failed: {reason}"
    return text


def reasons(trials: list[Trial]) -> list[str]:
    """The most frequent reasons for failed trials, with their counts."""
    failed = [t for t in trials if t.state == TrialState.FAILED and not t.retried_as]
    counts = Counter(trial.error for trial in failed)
    return [f"{reason} ({count} times)" for reason, count in counts.most_common(3)]


def remarks(study: Study, trials: list[Trial], num_classes: int | None) -> list[str]:
    """What a user should know before looking at a study.

    Args:
        study: The study.
        trials: Its trials.
        num_classes: Classes of the images, if there are any.
    """
    from nas.prediction.score_agreement import SCORES, score_agreement

    found = []
    if num_classes is not None:
        found.append(chance_warning(trials, num_classes))
    if study.layout.test.is_file():
        found.append(
            "accuracies above are of validation images; those of the test images, "
            "for the front and the baselines, looked at once: nas pareto "
            f"{study.path}, or {study.layout.test}"
        )
    if (study.path / SCORES).is_dir():
        try:
            found.append(f"{score_agreement(study).sentence()} (nas agreement)")
        except InputError as error:
            found.append(f"scores and results cannot be compared: {error}")
    return [line for line in found if line]
