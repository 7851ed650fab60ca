"""What of a config can only be checked beside the registries and the networks.

The sections check their own keys and values without torch, so that a typo is answered
at once. What follows here needs the evaluators (which metrics are there, which way is
better) and the blocks (does the space fit together), whose import takes seconds.
"""

from typing import Any

from evaluators.names import METRICS, check_evaluators, check_metric
from nas.config.names import DATA_SETS, SAMPLERS
from nas.config.search_config import SearchConfig
from nas.plugins import import_plugins
from search_spaces.errors import InputError, did_you_mean, shown


def completed(config: SearchConfig) -> SearchConfig:
    """Check a config against everything that is registered by now.

    Args:
        config: Its keys and values are those of its sections.

    Returns:
        The config with the direction of each objective filled in.

    Raises:
        InputError: A data set, its directory, a sampler, an evaluator, an option or a
            metric does not exist, an objective or the metric of the plan is not
            measured, an objective is mostly noise, or the parts of the space do not
            fit together.
    """
    _check_names(config)
    config.space.check()
    from evaluators.registry import make_evaluators

    measured = {
        metric.name: metric
        for evaluator in make_evaluators(config.evaluators)
        for metric in evaluator.metrics
    }
    objectives: list[dict[str, str]] = []
    for one in config.objectives:
        metric = one["metric"]
        filled = {"metric": metric, "direction": one.get("direction", "")}
        if "direction" not in one:
            filled["direction"] = _direction_of(metric)
        known = measured.get(metric)  # none: a column of a recorded table
        if known and (noise := known.noise) and not config.search.allow_noisy:
            raise InputError(
                f"objective {metric!r} is mostly noise for a single network ({noise}); "
                "choose another, or set search.allow_noisy=true"
            )
        objectives.append(filled)
    return config.model_copy(update={"objectives": objectives})


def _check_names(config: SearchConfig) -> None:
    """What can be said before anything heavy is imported."""
    data, sampler = config.data, config.search.sampler
    if data.name not in DATA_SETS:
        raise InputError(
            f"unknown data set {shown(data.name)}; there are {', '.join(DATA_SETS)}"
        )
    if data.root is not None:
        data.check_there()
    if sampler not in SAMPLERS:
        raise InputError(
            f"unknown sampler {shown(sampler)}; known samplers: "
            f"{', '.join(sorted(SAMPLERS))}",
            hint=did_you_mean(sampler, SAMPLERS),
        )
    check_evaluators(config.evaluators)
    is_recorded = config.scoring.kind == "recorded"
    for one in config.objectives:
        if "direction" not in one:
            check_metric(
                one["metric"],
                "; a column of the table is an objective as {metric: NAME, direction: "
                "maximize}, or minimize"
                if is_recorded
                else "",
            )
    measured = [m for name in config.evaluators for m in METRICS[name]]
    wanted = {
        f"objective {shown(one['metric'])}": one["metric"]
        for one in config.objectives
        if not (is_recorded and "direction" in one)  # the table may be anyone's
    }
    if config.rule is not None:
        wanted[f"rule.metric {shown(config.rule.metric)}"] = config.rule.metric
    for what, metric in wanted.items():
        if metric not in measured:
            raise InputError(
                f"{what} is not measured by the evaluators "
                f"{', '.join(config.evaluators)}; they give "
                f"{', '.join(dict.fromkeys(measured))}"
            )


def with_plugins(config: SearchConfig) -> SearchConfig:
    """Import the plugins that a config names, then complete it.

    This runs the code of the modules. Only what trains does it (a search, its workers,
    ``resume``, ``train``); whoever reads a study does not.

    Args:
        config: Of a search that is about to run.

    Returns:
        The completed config.

    Raises:
        InputError: A plugin cannot be imported, or as for :func:`completed`.
    """
    import_plugins(config.plugins)
    return completed(config)


def metric_facts(config: SearchConfig) -> dict[str, dict[str, Any]]:
    """What a study keeps about its metrics, so that it can be read without plugins.

    Args:
        config: A completed config.

    Returns:
        Unit, direction and definition by metric name.
    """
    from evaluators.registry import make_evaluators

    return {
        metric.name: {
            "unit": metric.unit,
            "direction": metric.direction,
            "definition": metric.definition,
        }
        for evaluator in make_evaluators(config.evaluators)
        for metric in evaluator.metrics
    }


def _direction_of(metric: str) -> str:
    """The direction the metric table gives, for objectives that are a bare name."""
    from evaluators.registry import all_metrics

    direction: str = all_metrics()[metric].direction
    if direction == "none":
        raise InputError(
            f"neither direction of {metric!r} is better in itself; "
            f"write {{metric: {metric}, direction: maximize}} or minimize"
        )
    return direction
