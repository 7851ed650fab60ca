"""The commands as functions: what they take and give is Python's."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.api.study import Study
from nas.config import Recipe, SearchConfig, config_from_dict, load_config
from nas.study_path import study_name
from search_spaces.errors import InputError, shown

if TYPE_CHECKING:
    from torch import nn

    from evaluators.evaluator import Evaluator
    from nas.scoring.scorer import Scorer
    from nas.scoring.target import Measurement
    from nas.scoring.trial_run import TrialFunction
    from nas.study.launch_cost import LaunchCost
    from nas.train_run import TrainedRow
    from search_spaces.architecture import Architecture

Config = SearchConfig | Mapping[str, Any] | str | os.PathLike[str]
"""A config, its settings as plain data, a preset's name, or a path."""


def search(
    config: Config = "quickstart",
    out: str | os.PathLike[str] | None = None,
    *,
    trials: int | None = None,
    seed: int | None = None,
    changes: Sequence[str] = (),
    address: str | None = None,
    quiet: bool = False,
    function: "TrialFunction | None" = None,
    scorer: "Scorer | None" = None,
) -> Study:
    """Run a search into a new study directory, as ``nas search`` does.

    Args:
        config: A config; ``"quickstart"`` or another preset; the path of a YAML file;
            or a dictionary such as ``{"training": {"epochs": 3}}``.
        out: The study directory; ``runs/<name>`` if ``None``. Must not exist, or be
            empty.
        trials: Number of trials, instead of the config's.
        seed: Seed, instead of the config's.
        changes: ``key.path=value`` texts, as ``--set`` takes them.
        address: Ray cluster, instead of ``resources.address``.
        quiet: Show no progress.
        function: Scores one run in a worker, instead of training it.
        scorer: Gives candidates their metrics, instead of the one of
            ``config.scoring``.

    Returns:
        The study.

    Raises:
        InputError: The config or the directory is not right; nothing is written.
        SearchFailedError: Not one trial is complete.
        SearchInterrupted: Ctrl-C or SIGTERM; the study can be resumed.
    """
    from nas import search_run

    wanted = as_config(config, _changes(trials, seed, changes), out)
    study = search_run.search(
        wanted, out, address, quiet=quiet, function=function, scorer=scorer
    )
    return Study(study.path)


def launch_cost(
    config: Config = "quickstart",
    *,
    changes: Sequence[str] = (),
    address: str | None = None,
) -> "LaunchCost":
    """Measure what a search will take, as ``nas search --dry-run`` does.

    Args:
        config: A config; see :func:`search`.
        changes: ``key.path=value`` texts.
        address: Ray cluster, instead of ``resources.address``.

    Returns:
        Hours, GPU hours and disk, each with a range.

    Raises:
        InputError: The config is not right, or does not train from scratch.
    """
    from nas.execution.dry_run import measure_launch

    return measure_launch(as_config(config, changes).at_address(address))


def resume(
    study: Study | str | os.PathLike[str],
    trials: int | None = None,
    address: str | None = None,
    *,
    quiet: bool = False,
    function: "TrialFunction | None" = None,
) -> Study:
    """Go on with a study that was killed, interrupted or finished.

    Args:
        study: The study, or its directory.
        trials: New number of trials in all; the old one if ``None``.
        address: Ray cluster, instead of the one in the study's config.
        quiet: Show no progress.
        function: As for :func:`search`; must be the same.

    Returns:
        The study.

    Raises:
        InputError: It is not a study, or another driver is at work on it.
        SearchFailedError: Not one trial is complete.
        SearchInterrupted: Ctrl-C or SIGTERM; the study can be resumed.
    """
    from nas import search_run

    path = study.path if isinstance(study, Study) else Path(study)
    search_run.resume(path, trials, address, quiet=quiet, function=function)
    return Study(path)


def evaluate(
    model: "nn.Module",
    data: Any = "mnist5k",
    evaluators: "str | Evaluator | Sequence[str | Evaluator] | Mapping[str, Any]" = (
        "accuracy",
        "low_pass",
        "feature_variance",
    ),
    *,
    recipe: Recipe | None = None,
    split: str = "validation",
    device: str = "cpu",
) -> "Measurement":
    """Measure any network: flatness, low-pass behaviour, robustness, cost, ...

    Args:
        model: Maps images ``(batch, channels, height, width)`` to logits
            ``(batch, classes)``. It is given back exactly as it was.
        data: A ``nas.data.datasets.Dataset``, the name of a data set, a preset, or the
            path of a config or study whose images are meant.
        evaluators: A name, an evaluator, several of them, or options by name.
        recipe: Gives augmentation and weight decay of the loss; that of ``data``, or
            the defaults.
        split: ``validation`` or ``test``.
        device: Where the network runs.

    Returns:
        Metrics, standard errors, details for figures, and why an evaluator gave
        nothing.

    Raises:
        InputError: An evaluator or a data set does not exist, or the network does not
            take the images.
    """
    from evaluators.evaluator import Evaluator
    from evaluators.registry import make_evaluators
    from nas.data.datasets import Dataset, load_dataset
    from nas.scoring.target import Target, measure
    from nas.scoring.target_path import data_recipe

    if isinstance(data, Dataset):
        dataset, settings = data, recipe or Recipe()
    else:
        found = data_recipe(str(data), (), ())
        dataset, settings = load_dataset(found.data), recipe or found
    if isinstance(evaluators, str | Evaluator):
        evaluators = (evaluators,)
    if isinstance(evaluators, Mapping):
        chosen = make_evaluators({n: dict(o or {}) for n, o in evaluators.items()})
    else:
        chosen = [
            one if isinstance(one, Evaluator) else make_evaluators({one: {}})[0]
            for one in evaluators
        ]
    target = Target(type(model).__name__, "model", model, "", True)
    return measure(target, chosen, dataset, settings, split=split, device=device)


def train(
    architectures: "Architecture | Sequence[Architecture]",
    config: Config = "quickstart",
    *,
    out: str | os.PathLike[str],
    seeds: int = 3,
    baselines: bool = True,
    changes: Sequence[str] = (),
    address: str | None = None,
    quiet: bool = False,
) -> "list[TrainedRow]":
    """Train architectures with the full recipe, beside their baselines.

    Args:
        architectures: What to train.
        config: Data, recipe and resources; see :func:`search`.
        out: Study directory; one that holds the same run is continued.
        seeds: Seeds of each, from ``config.seed + 1000``: not one that a network may
            have been chosen with.
        baselines: Also train the all-Conv parent and the paper's rule.
        changes: ``key.path=value`` texts.
        address: Ray cluster.
        quiet: Show no progress.

    Returns:
        A row per architecture, test images included.

    Raises:
        InputError: The architectures do not fit the images, or ``out`` holds something
            else.
    """
    from nas.train_run import FRESH, Candidate, train_architectures
    from search_spaces.architecture import Architecture

    listed = (
        [architectures] if isinstance(architectures, Architecture) else architectures
    )
    if not listed or not all(isinstance(one, Architecture) for one in listed):
        raise InputError(f"what is trained are architectures, got {shown(listed)}")
    settings = as_config(config, changes)
    return train_architectures(
        [Candidate(str(one.placement), one) for one in listed],
        settings,
        first_seed=settings.seed + FRESH,
        num_seeds=seeds,
        out=Path(out),
        address=address,
        baselines=baselines,
        quiet=quiet,
    )


def export(
    study: Study | str | os.PathLike[str],
    which: int | str = "best",
    *,
    to: str | os.PathLike[str],
    formats: Sequence[str] = ("yaml", "safetensors"),
    force: bool = False,
    quantize: bool = False,
    license: str = "",
    plugins: Sequence[str] = (),
) -> list[Path]:
    """Write models of a study; see :meth:`Study.export`."""
    opened = study if isinstance(study, Study) else Study(study)
    return opened.export(
        which,
        to=to,
        formats=formats,
        force=force,
        quantize=quantize,
        license=license,
        plugins=plugins,
    )


def report(
    study: Study | str | os.PathLike[str], path: str | os.PathLike[str] | None = None
) -> Path:
    """Write a study as one HTML page; see :meth:`Study.report`."""
    opened = study if isinstance(study, Study) else Study(study)
    return opened.report(path)


def as_config(
    config: Config,
    changes: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
) -> SearchConfig:
    """A checked config from whatever names one.

    Args:
        config: See :data:`Config`.
        changes: ``key.path=value`` texts.
        out: Directory of the study that is made of it, which gives it a name if
            ``config`` does not.

    Raises:
        InputError: There is no such config, or it is not valid.
    """
    if isinstance(config, str | os.PathLike):
        return load_config(os.fspath(config), changes, out)
    if not isinstance(config, SearchConfig | Mapping):
        raise InputError(
            "a config is a preset's name, a path, a dictionary or a SearchConfig; got "
            f"{shown(config)}"
        )
    data = config.to_dict() if isinstance(config, SearchConfig) else dict(config)
    given = config.model_fields_set if isinstance(config, SearchConfig) else config
    if out is not None and "name" not in given and (name := study_name(out)):
        changes = [f"name={json.dumps(name)}", *changes]
    if not changes:
        return config if isinstance(config, SearchConfig) else config_from_dict(data)
    from nas.config.loading import with_changes

    return config_from_dict(with_changes(data, changes))


def _changes(trials: int | None, seed: int | None, changes: Sequence[str]) -> list[str]:
    found = list(changes)
    if trials is not None:
        if trials < 1:
            raise InputError(f"trials is a positive whole number, got {trials}")
        found.append(f"search.trials={trials}")
    if seed is not None:
        found.append(f"seed={seed}")
    return found
