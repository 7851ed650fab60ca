"""Everything a report shows, computed once, as plain data for the page's script.

Columns instead of rows, each placement once, six significant digits: 10,000 trials
with twenty metrics take about 2 MB, and their learning curves as much. Per-block
details are only kept for the models that a reader will look at first.
"""

import math
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from nas.ledger.held_out_results import TestResult
from nas.ledger.trial import Objective, Trial, TrialState
from nas.pareto.table import ParetoTable, metric_names, trial_value
from nas.reporting.contact_sheet import contact_sheet
from nas.reporting.curves import learning_curves
from nas.reporting.facts import study_facts
from nas.reporting.forecast import forecast
from nas.reporting.recipes import architecture_texts
from nas.study.layout import StudyLayout
from nas.study.parent_difference import ParentComparison, network
from nas.study.reliability import reliability_by_metric
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study

FORMAT = "alternet-report/2"

Tell = Callable[[str], None]
"""Told in a few words what is being done."""

MAX_DETAILED = 60
"""Models whose blocks are in the page; about 3 kB each (our choice)."""

MAX_STEPS = 1000
"""Points of the progress curves: more than a screen has columns for them."""

MAX_LISTED = 30
"""Trial numbers named for one reason of failure."""

COSTS = ("params", "macs")
"""Follow from the placement alone: there is nothing to test about them."""

STATES = tuple(map(str, TrialState))


def report_data(
    study: "Study", *, images: bool = False, tell: Tell = lambda what: None
) -> dict[str, Any]:
    """Collect what the page shows.

    Args:
        study: The study; running or finished.
        images: Whether to open the data set for a contact sheet.
        tell: Told what takes time.

    Returns:
        Data that JSON can hold.
    """
    return {
        **trial_data(study, tell),
        **conclusions(study, tell),
        "images": _images(study, tell) if images else {"reason": "left out"},
    }


def trial_data(
    study: "Study", tell: Tell = lambda what: None, *, curves: bool = True
) -> dict[str, Any]:
    """The part that follows from the trials alone, quick enough to be asked for often.

    Args:
        study: The study; running or finished.
        tell: Told what takes time.
        curves: Whether to read the learning curve of every trial.

    Returns:
        Data that JSON can hold.
    """
    tell("reading the trials")
    every = [trial for trial in study.trials() if trial.retried_as is None]
    every.sort(key=lambda trial: trial.number)
    table = ParetoTable.of(study)
    tell("reading learning curves and blocks")
    layout = StudyLayout(study.path)
    tested = study.test_results()
    columns = _columns(every, table)
    if tested:
        columns["values"] |= _test_values(every, tested)
        columns["errors"]["test_accuracy"] = [
            short(tested[t.number].test_accuracy_se, digits=3)
            if t.number in tested
            else None
            for t in every
        ]
    details = {
        str(trial.number): {"blocks": block_curves(_details(study, trial))}
        for trial in detailed_trials(table)
    }
    return {
        "format": FORMAT,
        "study": study.name,
        "export": f"nas export {shlex.quote(str(study.path))}",
        "counts": _counts(every),
        "objectives": [
            {"metric": o.metric, "direction": o.direction} for o in study.objectives
        ],
        "metrics": [
            *_metrics(every, study.objectives, study.metric_facts),
            *_test_metrics(tested),
        ],
        **columns,
        "comparisons": _comparisons(table.trials),
        "reliability": _reliability(table.trials),
        "front": table.summary(),
        "progress": _progress(table),
        "details": details,
        "curves": learning_curves(layout, every) if curves else {"points": []},
        "recipes": architecture_texts(every),
        "notes": _notes(study),
        "failures": _failures(every),
        "facts": study_facts(study, every),
        "provenance": _provenance(study),
    }


def conclusions(study: "Study", tell: Tell = lambda what: None) -> dict[str, Any]:
    """The part that takes long: rule tests and predictions.

    Args:
        study: The study.
        tell: Told what takes time.

    Returns:
        Data that JSON can hold.
    """
    rules = []
    for metric in _tested(study.objectives):
        tell(f"testing where MSAs help {metric}")
        rules.append(_rule(study, metric))
    tell("predicting placements that nobody trained")
    return {"rules": rules, "forecast": forecast(study)}


def _is_repeated(trials: Sequence[Trial]) -> bool:
    """Whether any network was trained with several seeds."""
    return len({network(trial) for trial in trials}) < len(trials)


def _reliability(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    if not _is_repeated(trials):
        return {}
    return {
        metric: {"icc": short(one.icc, 3), "text": str(one)}
        for metric, one in reliability_by_metric(trials).items()
    }


def _images(study: "Study", tell: Tell) -> dict[str, Any]:
    tell("drawing what the network sees")
    return contact_sheet(study.config)


def _notes(study: "Study") -> dict[str, dict[str, Any]]:
    """Notes and tags by number, as `nas serve --edit` keeps them in the ledger."""
    found = getattr(study, "notes", None)
    return {} if found is None else {str(k): v for k, v in found().items()}


def _comparisons(trials: Sequence[Trial]) -> dict[str, dict[str, Any]]:
    """How the all-Conv parent compares, for each metric that has an error."""
    found = {}
    repeated = _is_repeated(trials)
    for metric in metric_names(trials):
        if not repeated and not any(metric in t.standard_errors for t in trials):
            continue  # nothing to compare by; said here because it is most of them
        one = ParentComparison.of(trials, metric)
        if one is not None:
            found[metric] = {
                **{
                    name: short(value, 8) if isinstance(value, float) else value
                    for name, value in one.to_dict().items()
                },
                "parent": next(t.number for t in trials if network(t) == one.parent),
            }
    return found


def detailed_trials(table: ParetoTable) -> list[Trial]:
    """Models to embed in full: the baselines, then the front, best first.

    Args:
        table: The trained trials.

    Returns:
        At most `MAX_DETAILED` trials.
    """
    sign = -1 if table.front.directions[0] == "maximize" else 1
    ranked = sorted(
        range(len(table.trials)),
        key=lambda i: _last_if_nan(sign * float(table.front.values[i, 0])),
    )
    baselines = [table.trials[i] for i in ranked if table.trials[i].baseline]
    names: set[str | None] = set()
    first_of_each = []
    for trial in baselines:
        if trial.baseline not in names:
            names.add(trial.baseline)
            first_of_each.append(trial)
    on_front = [table.trials[i] for i in ranked if table.front.is_pareto[i]]
    unique = {trial.number: trial for trial in [*first_of_each, *on_front]}
    return list(unique.values())[:MAX_DETAILED]


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _counts(trials: Iterable[Trial]) -> dict[str, int]:
    counts = dict.fromkeys(map(str, TrialState), 0)
    for trial in trials:
        counts[str(trial.state)] += 1
    return counts


def _metrics(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    facts: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, str]]:
    """Objectives first, then the others, with what the study or our table says."""
    names = dict.fromkeys([*(o.metric for o in objectives), *metric_names(trials)])
    known: dict[str, Mapping[str, Any]] = dict(facts)
    if not all(name in facts for name in names):
        from evaluators.registry import all_metrics  # imports torch: seconds

        known = {n: vars(metric) for n, metric in all_metrics().items()} | known
    directions = {o.metric: str(o.direction) for o in objectives}
    described = []
    for name in names:
        metric = known.get(name, {})
        direction = directions.get(name) or metric.get("direction", "none")
        described.append(
            {
                "name": name,
                "direction": direction,
                "unit": metric.get("unit", ""),
                "definition": metric.get("definition", ""),
            }
        )
    return described


def _test_metrics(tested: Mapping[int, TestResult]) -> list[dict[str, str]]:
    """What the page says about values on the test images, if there are any."""
    if not tested:
        return []
    days = sorted({result.looked[:10] for result in tested.values()} - {""})
    when = f" on {' and '.join(days)}" if days else ""
    said = f"test images, looked at once{when}; nothing was chosen by it"
    return [
        {
            "name": "test_accuracy",
            "direction": "none",
            "unit": "fraction",
            "definition": f"Top-1 accuracy on the {said}",
        },
        {
            "name": "test_nll",
            "direction": "none",
            "unit": "nats",
            "definition": f"Mean negative log-likelihood on the {said}",
        },
    ]


def _test_values(
    trials: Sequence[Trial], tested: Mapping[int, TestResult]
) -> dict[str, list[float | int | None]]:
    return {
        name: [
            short(getattr(tested[t.number], name)) if t.number in tested else None
            for t in trials
        ]
        for name in ("test_accuracy", "test_nll")
    }


def _columns(trials: Sequence[Trial], table: ParetoTable) -> dict[str, Any]:
    placements = {
        p: i for i, p in enumerate(dict.fromkeys(t.placement for t in trials))
    }
    networks = {n: i for i, n in enumerate(dict.fromkeys(map(network, trials)))}
    metrics = metric_names(trials)
    sampled = [m for m in metrics if any(m in t.standard_errors for t in trials)]
    on_front = {trial.number for trial in table.on_front}
    return {
        "placements": list(placements),
        "states": list(STATES),
        "trials": {
            "number": [trial.number for trial in trials],
            "state": [STATES.index(str(trial.state)) for trial in trials],
            "placement": [placements[trial.placement] for trial in trials],
            "network": [networks[network(trial)] for trial in trials],
            "seed": [trial.seed for trial in trials],
            "epochs": [trial.epochs for trial in trials],
            "duration_s": [short(trial.duration_s, 4) for trial in trials],
            "baseline": [trial.baseline or "" for trial in trials],
            "pareto": [int(trial.number in on_front) for trial in trials],
        },
        "values": {m: [short(trial_value(t, m)) for t in trials] for m in metrics},
        "errors": {
            m: [short(t.standard_errors.get(m), digits=3) for t in trials]
            for m in sampled
        },
    }


def _progress(table: ParetoTable) -> dict[str, Any]:
    """Hypervolume and best first objective after each trained trial."""
    front = table.front
    volumes = front.hypervolume_over_trials()
    best: list[float | None] = []
    so_far = math.nan
    better = max if front.directions[0] == "maximize" else min
    for value in front.values[:, 0].tolist():
        if not math.isnan(value):
            so_far = value if math.isnan(so_far) else better(so_far, value)
        best.append(short(so_far))
    kept = _thinned(volumes.tolist(), best)
    return {
        "trained": [index + 1 for index in kept],
        "hypervolume": [short(float(volumes[index])) for index in kept],
        "best": [best[index] for index in kept],
    }


def _thinned(*columns: list[Any]) -> list[int]:
    """Where a step curve changes, at most `MAX_STEPS` places, both ends included."""
    rows = list(zip(*columns, strict=True))
    changes = [i for i in range(len(rows)) if i == 0 or rows[i] != rows[i - 1]]
    stride = -(-len(changes) // MAX_STEPS) if changes else 1
    kept = set(changes[::stride])
    return sorted(kept | ({len(rows) - 1} if rows else set()))


def _tested(objectives: Sequence[Objective]) -> list[str]:
    return [o.metric for o in objectives if o.metric not in COSTS]


def _rule(study: "Study", metric: str) -> dict[str, Any]:
    """The end-of-stage test of one metric, or why there is none."""
    from nas.rule.placement_table import PlacementTable
    from nas.rule.rule_test import rule_test

    try:
        return rule_test(PlacementTable.of_study(study, metric), metric).to_dict()
    except InputError as error:
        return {"metric": metric, "error": str(error)}


def _details(study: "Study", trial: Trial) -> dict[str, Any]:
    file = StudyLayout(study.path).trial(trial.number).details
    try:
        found: dict[str, Any] = study.read_json(trial.number, file.name)
    except InputError:
        return {}
    return found


def block_curves(details: dict[str, Any]) -> list[dict[str, Any]]:
    """What the Fourier and variance evaluators say of each block.

    Args:
        details: The content of a trial's details.json.

    Returns:
        One row a block: name, stage, kind, and where it was measured ``amplitude``
        (relative log amplitude at the highest frequency after the block, nats),
        ``variance`` (of the feature map after the block) and their errors.
    """
    rows: dict[str, dict[str, Any]] = {}
    for block in details.get("low_pass", {}).get("blocks", []):
        row = rows.setdefault(block["name"], _block(block))
        row["amplitude"] = short(block["after"][block["read"]])
        row["amplitude_se"] = short(block["after_se"][block["read"]], digits=3)
    for block in details.get("feature_variance", {}).get("blocks", []):
        row = rows.setdefault(block["name"], _block(block))
        row["variance"] = short(block["after"])
        row["variance_se"] = short(block["after_se"], digits=3)
    return list(rows.values())


def _block(block: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": block["name"],
        "stage": block["stage"],
        "kind": block["kind"],
    }


def _failures(trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """Failed trials by reason, the most frequent first."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for trial in trials:
        if trial.state == TrialState.FAILED:
            numbers[trial.error or "no reason recorded"].append(trial.number)
    return [
        {"reason": reason, "count": len(found), "numbers": found[:MAX_LISTED]}
        for reason, found in sorted(numbers.items(), key=lambda kv: -len(kv[1]))
    ]


_ELSEWHERE = ("metrics", "block_kinds")
"""What the page shows in words and pictures: definitions and kinds of blocks."""


def _provenance(study: "Study") -> dict[str, Any]:
    return {
        "header": {
            key: _readable(value)
            for key, value in study.header.items()
            if key not in _ELSEWHERE
        },
        "config": yaml.safe_dump(study.config.to_dict(), sort_keys=False),
        "problems": list(study.problems),
    }


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return "" if value is None else str(value)


def short(value: float | None, digits: int = 6) -> float | int | None:
    """A number in few characters: whole numbers exact, others rounded.

    Args:
        value: The number.
        digits: Significant digits.

    Returns:
        The number; ``None`` for what JSON cannot hold.
    """
    if value is None or not math.isfinite(value):
        return None
    if value == int(value) and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.{digits}g}")
