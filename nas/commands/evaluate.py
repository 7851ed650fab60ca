"""`nas evaluate`: measure trained networks with any evaluator."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.options import format_option, set_option
from nas.terminal import say

if TYPE_CHECKING:
    from evaluators.evaluator import Evaluator
    from nas.scoring.target import Measurement


@click.command()
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@click.option(
    "--evaluators",
    "names",
    metavar="NAME,NAME...|all",
    help="What to measure, e.g. accuracy,flatness (docs/metrics.md lists them); "
    "default: what takes a few forward passes, and with --figures everything that "
    "makes a figure.",
)
@click.option(
    "--option",
    "options",
    metavar="EVALUATOR.OPTION=VALUE",
    multiple=True,
    help="Change an evaluator's option, e.g. low_pass.max_images=128.",
)
@click.option(
    "--data",
    metavar="NAME|PRESET|CONFIG.yaml|STUDY",
    help="Images and recipe; default: those of the trial's study or the export, else "
    "mnist5k.",
)
@set_option("Change a setting of the data or recipe, e.g. data.root=/images.")
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    default="validation",
    show_default=True,
    help="Held-out images to measure on.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Safetensors file for an ARCHITECTURE.yaml or timm:NAME.",
)
@click.option(
    "--pretrained", is_flag=True, help="Download the published weights of timm:NAME."
)
@click.option("--device", default="cpu", show_default=True, help="E.g. cuda.")
@click.option(
    "--figures",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw the paper's figures (PNG, SVG, CSV) and keep details.json.",
)
@click.option(
    "--plugin",
    "plugins",
    metavar="MODULE",
    multiple=True,
    help="Import this module of yours first: it registers evaluators or data sets.",
)
@format_option()
def command(
    targets: tuple[str, ...],
    names: str | None,
    options: tuple[str, ...],
    data: str | None,
    overrides: tuple[str, ...],
    split: str,
    weights: Path | None,
    pretrained: bool,
    device: str,
    figures: Path | None,
    plugins: tuple[str, ...],
    output: str,
) -> int:
    r"""Measure networks, several of them side by side.

    TARGET is a directory that `nas export` wrote, a trial (STUDY/trials/NUMBER, or
    STUDY/best, STUDY/latest), an ARCHITECTURE.yaml (untrained unless --weights is
    given), or timm:NAME.

    \b
    nas evaluate winner --data runs/photos
    nas evaluate runs/photos/best --evaluators flatness,low_pass
    nas evaluate timm:resnet18 --pretrained --data images.yaml
    """
    from nas.config.loading import find_config
    from nas.config.names import DATA_SETS
    from nas.plugins import import_plugins
    from nas.scoring.target_path import are_own_images, data_recipe, find_target

    targets = tuple(find_target(source) for source in targets)
    import_plugins(plugins)
    chosen = _chosen(names)
    if data is not None and data not in DATA_SETS:
        find_config(data)
    config = data_recipe(data, targets, overrides)
    # Only now: wrong names, and images that are not there, are answered before torch
    # is imported.
    from nas.data.datasets import load_dataset
    from nas.scoring.target import load_target, measure, unique_names

    evaluators = _evaluators(chosen, options, figures is not None)
    dataset = load_dataset(config.data, quiet=False)
    loaded = unique_names(
        [
            load_target(
                source,
                dataset,
                weights=weights,
                pretrained=pretrained,
                plugins=plugins,
            )
            for source in targets
        ]
    )
    if not are_own_images(data, targets, overrides):
        # split seeds are of the targets' own images
        loaded = [replace(target, split_seed=None) for target in loaded]
    measurements = []
    for target in loaded:
        measurement = measure(
            target,
            evaluators,
            dataset,
            config,
            split=split,
            device=device,
            tell=lambda line: say(line, err=True),
        )
        if not target.trained:
            say(f"{target.name}: no weights given, measured untrained", err=True)
        for evaluator, problem in measurement.errors.items():
            say(f"{target.name}: {evaluator}: {problem}", err=True)
        measurements.append(measurement)
    if output == "json":
        models = [measurement.to_dict() for measurement in measurements]
        say(json.dumps({"split": split, "models": models}))
    else:
        _print(measurements)
    if figures is not None:
        _draw(measurements, figures)
    return 1 if any(measurement.errors for measurement in measurements) else 0


def _chosen(names: str | None) -> list[str] | None:
    """Evaluators by name; ``None`` if none were named."""
    from evaluators.names import METRICS, check_evaluators

    if names is None:
        return None
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    if names == "all":
        chosen = list(METRICS)
    check_evaluators(chosen)
    return chosen


def _evaluators(
    chosen: list[str] | None, options: tuple[str, ...], figures: bool
) -> "list[Evaluator]":
    from evaluators.registry import make_evaluators
    from nas.scoring.target import DEFAULT_EVALUATORS
    from search_spaces.errors import InputError
    from search_spaces.yaml_text import parse_yaml

    if chosen is None and figures:
        from nas.figures.paper import FIGURES

        chosen = ["accuracy", *FIGURES, "cost"]
    elif chosen is None:
        chosen = list(DEFAULT_EVALUATORS)
    config: dict[str, dict[str, object]] = {name: {} for name in chosen}
    for option in options:
        key, equals, text = option.partition("=")
        evaluator, dot, field = key.partition(".")
        if not equals or not dot or evaluator not in config:
            raise InputError(
                "--option takes EVALUATOR.OPTION=VALUE with one of the evaluators "
                f"{', '.join(config)}; got {option!r}"
            )
        try:
            config[evaluator][field] = parse_yaml(text)
        except InputError as error:
            raise error.within(f"--option {key}") from error
    return make_evaluators(config)


def _print(measurements: "list[Measurement]") -> None:
    """Metrics by network, with their units and directions where there is room."""
    from evaluators.registry import all_metrics
    from nas.commands.fitted_table import Column, print_fitted
    from nas.pareto.table import short_value

    def text(measurement: "Measurement", name: str) -> str:
        return short_value(
            measurement.metrics.get(name), measurement.standard_errors.get(name)
        )

    known = all_metrics()
    words = {"maximize": "higher", "minimize": "lower", "none": ""}
    names = list(dict.fromkeys(name for m in measurements for name in m.metrics))
    print_fitted(
        "",
        [
            Column("metric", names, is_text=True),
            *(Column(m.name, [text(m, name) for name in names]) for m in measurements),
            Column("unit", [known[name].unit for name in names], 2, is_text=True),
            Column("better", [words[known[name].direction] for name in names], 1, True),
        ],
        complete="--format json",
    )


def _draw(measurements: "list[Measurement]", directory: Path) -> None:
    from nas.figures.paper import paper_figures, save_figure

    models = {measurement.name: measurement.details for measurement in measurements}
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "details.json").write_text(json.dumps(models), encoding="utf-8")
    for figure in paper_figures(models):
        save_figure(figure, directory)
        say(f"drew {directory / figure.name}.png, .svg and .csv", err=True)
