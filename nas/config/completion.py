"""What of a config can only be checked beside the registries and the networks.

The sections check their own keys and values without torch, so that a typo is answered
at once. What follows here needs the evaluators (which metrics are there, which way is
better) and the blocks (does the space fit together), whose import takes seconds.
"""

from typing import Any

from nas.config.search_config import SearchConfig
from nas.plugins import import_plugins
from search_spaces.errors import InputError, shown


def completed(config: SearchConfig) -> SearchConfig:
    """Check a config against everything that is registered by now.

    Args:
        config: Its keys and values are those of its sections.

    Returns:
        The config with the direction of each objective filled in.

    Raises:
        InputError: An evaluator, an option or a metric does not exist, an objective
            or the metric of the plan is not measured, an objective is mostly noise, or
            the parts of the space do not fit together.
    """
    from evaluators.registry import make_evaluators

    config.space.check()
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
        if metric not in measured:
            raise InputError(
                f"objective {shown(metric)} is not measured by the evaluators "
                f"{', '.join(config.evaluators)}; they give {', '.join(measured)}"
            )
        if (noise := measured[metric].noise) and not config.search.allow_noisy:
            raise InputError(
                f"objective {metric!r} is mostly noise for a single network ({noise}); "
                "choose another, or set search.allow_noisy=true"
            )
        objectives.append(filled)
    if config.rule is not None and config.rule.metric not in measured:
        raise InputError(
            f"rule.metric {shown(config.rule.metric)} is not measured by the "
            f"evaluators {', '.join(config.evaluators)}; they give "
            f"{', '.join(measured)}"
        )
    return config.model_copy(update={"objectives": objectives})


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

    table = all_metrics()
    if metric not in table:
        raise InputError(
            f"unknown metric {shown(metric)}; there are {', '.join(sorted(table))}"
        )
    direction: str = table[metric].direction
    if direction == "none":
        raise InputError(
            f"neither direction of {metric!r} is better in itself; "
            f"write {{metric: {metric}, direction: maximize}} or minimize"
        )
    return direction
