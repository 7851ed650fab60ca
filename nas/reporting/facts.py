"""What a study cost and on what it ran, in a list of facts."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nas.ledger.trial import Trial
from nas.study.remaining_time import duration_text

if TYPE_CHECKING:
    from nas.study.study import Study


def study_facts(study: "Study", trials: Sequence[Trial]) -> list[tuple[str, str]]:
    """Duration, cost, machines and data of a study, as far as they are recorded.

    Args:
        study: The study.
        trials: Its trials.

    Returns:
        Names and texts.
    """
    config = study.config
    size = config.data.image_size
    facts = [
        ("data set", config.data.name + (f", {size} px" if size else "")),
        ("epochs of a trial", _range([trial.epochs for trial in trials])),
    ]
    started = [trial.started for trial in trials if trial.started is not None]
    finished = [trial.finished for trial in trials if trial.finished is not None]
    if started and finished:
        first, last = min(started), max(finished)
        facts.append(("searched", f"{_day(first)} to {_day(last)}"))
        facts.append(("first start to last end", duration_text(last - first)))
    spent = sum(trial.duration_s or 0.0 for trial in trials)
    if spent:
        resources = config.resources
        used = f"{resources.cpus_per_trial:g} CPU"
        if resources.gpus_per_trial:
            used += f" and {resources.gpus_per_trial:g} GPU"
        facts.append(("cost, all trials", f"{duration_text(spent)} of {used} each"))
        trained = [t.duration_s for t in trials if t.duration_s is not None]
        facts.append(("cost, one trial", duration_text(spent / len(trained))))
    nodes = Counter(trial.node for trial in trials if trial.node)
    if nodes:
        named = ", ".join(f"{name} ({count})" for name, count in nodes.most_common(8))
        more = len(nodes) - 8
        facts.append(("machines", named + (f" and {more} more" if more > 0 else "")))
    return facts


def _range(values: Sequence[int]) -> str:
    if not values:
        return "–"
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
