"""Measure networks: exports, trials, architecture files with weights, timm models."""

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators.evaluator import Evaluation, EvaluationError, Evaluator
from nas.config import Recipe, load_config
from nas.exporting.format import RECIPE
from nas.html_table import html_table
from nas.ledger.regular_file import read_regular
from nas.study.layout import StudyLayout, TrialLayout
from search_spaces.errors import InputError, one_line, shown

if TYPE_CHECKING:
    from torch import nn

    from nas.data.datasets import Dataset
    from nas.data.preprocessing import Preprocessing

DEFAULT_EVALUATORS = ("accuracy", "calibration", "low_pass", "feature_variance", "cost")
"""What is measured if nothing is said: everything that takes a few forward passes."""


@dataclass(frozen=True)
class Target:
    """A network to measure and how its images must be prepared.

    Attributes:
        name: How tables and figures call it.
        source: What the user wrote.
        model: The network.
        placement: Placement of an AlterNet, ``""`` for other models.
        trained: Whether its weights were read rather than drawn.
        preprocessing: Of an export; ``None``: that of the data set.
        split_seed: Seed with which its training and validation images were drawn anew;
            ``None``: those of the data set.
    """

    name: str
    source: str
    model: "nn.Module"
    placement: str
    trained: bool
    preprocessing: "Preprocessing | None" = None
    split_seed: int | None = None


@dataclass(frozen=True)
class Measurement:
    """What was found out about one network.

    Attributes:
        name: Name of the network.
        source: What the user wrote.
        placement: Placement of an AlterNet, ``""`` for other models.
        trained: Whether its weights were read rather than drawn.
        metrics: All metrics.
        standard_errors: Of the sampled ones.
        seconds: Wall time of each evaluator.
        errors: Why an evaluator gave nothing, by its name.
        details: For figures, by evaluator.
    """

    name: str
    source: str
    placement: str
    trained: bool
    metrics: dict[str, float]
    standard_errors: dict[str, float]
    seconds: dict[str, float]
    errors: dict[str, str]
    details: dict[str, dict[str, Any]]

    def _repr_html_(self) -> str:
        """Metrics with their errors, and what could not be measured, for notebooks."""
        rows = [
            (name, value, self.standard_errors.get(name))
            for name, value in self.metrics.items()
        ]
        title = self.name if not self.placement else f"{self.name}, {self.placement}"
        drawn = "" if self.trained else " (not trained)"
        errors = "".join(
            f"<li>{escape(name)}: {escape(why)}</li>"
            for name, why in self.errors.items()
        )
        return (
            f"<p><b>{escape(title)}</b>{drawn}</p>"
            + html_table(["metric", "value", "standard error"], rows)
            + (f"<ul>{errors}</ul>" if errors else "")
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything but the details, for JSON."""
        record = asdict(self)
        del record["details"]
        return record


def load_target(
    source: str,
    dataset: "Dataset",
    *,
    weights: Path | None,
    pretrained: bool,
    plugins: Collection[str] = (),
) -> Target:
    """Load one network.

    Args:
        source: Directory of an export or a trial, an architecture file, or a network
            by name: ``timm:NAME,key=value``, ``torchvision:NAME``, ``vit,key=value``.
        dataset: Shapes a network by name.
        weights: Safetensors file for an architecture file or a network by name.
        pretrained: Let timm download the model's published weights.
        plugins: Modules of the user whose functions may build a parent.

    Returns:
        The network in eval mode.

    Raises:
        InputError: There is no such network, or its weights do not fit.
    """
    from nas.exporting.exporter import load_export
    from nas.exporting.formats import load_weights
    from search_spaces import Architecture
    from search_spaces.parents.network_files import draw_network
    from search_spaces.parents.network_name import is_network

    if is_network(source):
        return _load_network(source, dataset, weights, pretrained)
    if pretrained:
        raise InputError(f"pretrained is for timm:NAME targets, got {source!r}")
    path = Path(source)
    name = f"trial {path.name}" if path.parent.name == "trials" else path.name
    if TrialLayout(path).architecture.is_file():
        if weights is not None:
            raise InputError(
                f"weights are for architecture files and timm models; {source!r} is a "
                "directory with weights of its own"
            )
        architecture = Architecture.from_yaml(TrialLayout(path).architecture)
        placement = str(architecture.placement)
        if TrialLayout(path).weights.is_file():
            model = load_weights(architecture, TrialLayout(path).weights, plugins)
            split = _split_seed_of_trial(path)
            return Target(name, source, model, placement, True, split_seed=split)
        if (study := StudyLayout.of_trial(path.resolve())) is not None:
            model = _scored_network(study.path, int(path.name), dataset, plugins)
            return Target(name, source, model, placement, True)
        exported, preprocessing = load_export(path, plugins)
        split = _split_seed_of_export(path)
        return Target(name, source, exported, placement, True, preprocessing, split)
    if path.is_file() and path.suffix in (".yaml", ".yml"):
        architecture = Architecture.from_yaml(path)
        placement = str(architecture.placement)
        if weights is not None:
            model = load_weights(architecture, weights, plugins)
        else:
            model = draw_network(architecture, plugins)
        trained = weights is not None
        return Target(path.stem, source, model.eval(), placement, trained)
    raise InputError(
        "a target is an architecture file (.yaml), an exported directory, a directory "
        f"STUDY/trials/NUMBER, or timm:NAME; got {source!r}"
    )


def _scored_network(
    directory: Path, number: int, dataset: "Dataset", plugins: Collection[str]
) -> Any:
    """The network of a trial without weights of its own, from its parent's."""
    from nas.scoring.trial_network import trial_network
    from nas.study.study import Study

    study = Study.open(directory)
    return trial_network(study, study.trial(number), dataset, plugins).model


def _split_seed_of_trial(directory: Path) -> int | None:
    try:
        found = json.loads(read_regular(TrialLayout(directory).metrics))
        split = found.get("split_seed")
        return None if split is None else int(split)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        path = TrialLayout(directory).metrics
        raise InputError(f"{path} is damaged: {error}") from error


def _split_seed_of_export(directory: Path) -> int | None:
    recipe = directory / RECIPE
    return load_config(recipe).data.resplit_seed if recipe.is_file() else None


def _load_network(
    source: str, dataset: "Dataset", weights: Path | None, pretrained: bool
) -> Target:
    import torch

    from search_spaces.parents.network_name import parse_network
    from search_spaces.parents.weights import fit_weights, read_weights
    from search_spaces.parents.whole_network import build_network

    library, name, _ = parse_network(source)
    if pretrained and library != "timm":
        raise InputError(f"pretrained is for timm:NAME targets, got {source!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = build_network(
            source,
            num_classes=dataset.num_classes,
            in_channels=dataset.in_channels,
            image_size=dataset.image_size,
            pretrained=pretrained,
        )
    if weights is not None:
        fit_weights(model, read_weights(weights), weights)
    trained = pretrained or weights is not None
    preprocessing = None
    if pretrained:
        from nas.data.preprocessing import Preprocessing

        published: Any = model.pretrained_cfg
        preprocessing = Preprocessing(
            tuple(published["mean"]),
            tuple(published["std"]),
            dataset.image_size,
            dataset.class_names,
        )
    return Target(name or source, source, model.eval(), "", trained, preprocessing)


def measure(
    target: Target,
    evaluators: Iterable[Evaluator],
    dataset: "Dataset",
    recipe: Recipe,
    *,
    split: str = "validation",
    device: str = "cpu",
    tell: Callable[[str], None] = lambda line: None,
) -> Measurement:
    """Run evaluators on one network.

    An evaluator whose assumption does not hold is reported, and the others go on.

    Args:
        target: The network.
        evaluators: What to measure.
        dataset: The images.
        recipe: Gives augmentation and weight decay for the loss.
        split: ``validation`` or ``test``: which images are held out.
        device: Where the network runs.
        tell: Is told what is measured, where that takes more than a few forward passes.

    Returns:
        What was found.

    Raises:
        InputError: The network does not fit the images, or there is no such device.
    """
    import torch

    from nas.data.augmentation import make_augmentation
    from nas.scoring.from_scratch import find_device

    if split not in ("validation", "test"):
        raise InputError(f"a split is validation or test, got {split!r}")
    dataset = _prepared(target, dataset).resplit(target.split_seed)
    held_out = dataset.test if split == "test" else dataset.validation
    data = replace(
        dataset.evaluation_data(
            make_augmentation(recipe.training, dataset.image_size),
            recipe.training.weight_decay,
        ),
        validation=dataset.image_set(held_out),
    )
    model = target.model
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"a network to measure is a torch.nn.Module, got {type(model).__name__}"
        )
    homes = {p.device for p in (*model.parameters(), *model.buffers())}
    if torch.device("meta") in homes:
        raise InputError(f"{target.source!r} has weights on device meta: no values")
    found: dict[str, Evaluation] = {}
    seconds: dict[str, float] = {}
    errors: dict[str, str] = {}
    try:
        model.to(find_device(device))
        _check_fit(target, dataset, device)
        for evaluator in evaluators:
            started = time.perf_counter()
            if evaluator.name not in DEFAULT_EVALUATORS:
                tell(f"{target.name}: measuring {evaluator.name}")
            try:
                found[evaluator.name] = evaluator.evaluate(model, data)
            except (EvaluationError, InputError) as error:
                errors[evaluator.name] = str(error)
            seconds[evaluator.name] = time.perf_counter() - started
    finally:
        if len(homes) == 1:  # a caller's network goes back to where it was
            model.to(homes.pop())
    return Measurement(
        name=target.name,
        source=target.source,
        placement=target.placement,
        trained=target.trained,
        metrics=_merged(e.metrics for e in found.values()),
        standard_errors=_merged(e.standard_errors for e in found.values()),
        seconds=seconds,
        errors=errors,
        details={name: e.details for name, e in found.items() if e.details},
    )


def _merged(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    return {name: value for part in parts for name, value in part.items()}


def _prepared(target: Target, dataset: "Dataset") -> "Dataset":
    """The images normalised as the network wants them."""
    preprocessing = target.preprocessing
    if preprocessing is None:
        return dataset
    if (preprocessing.image_size, preprocessing.in_channels) != (
        dataset.image_size,
        dataset.in_channels,
    ):
        raise InputError(
            f"{target.source!r} takes images of {preprocessing.in_channels} channels "
            f"and {preprocessing.image_size} px, the data set {dataset.name!r} has "
            f"{dataset.in_channels} and {dataset.image_size}; choose other images",
            hint="--data, or --set data.image_size=...",
        )
    known = preprocessing.class_names
    for label, name in enumerate(dataset.class_names):
        if name in known and (logit := known.index(name)) != label:
            raise InputError(
                f"the classes of {target.source!r} and of the data set "
                f"{dataset.name!r} must be in one order; {shown(name)} is number "
                f"{logit + 1} of {len(known)} there and number {label + 1} of "
                f"{dataset.num_classes} here"
            )
    return replace(dataset, mean=preprocessing.mean, std=preprocessing.std)


def _check_fit(target: Target, dataset: "Dataset", device: str) -> None:
    """Run one image, so that a wrong shape is an error of the user in one line."""
    import torch

    from evaluators.evaluator import untouched

    size = dataset.image_size
    shape = (1, dataset.in_channels, size, size)
    try:
        with untouched(target.model), torch.no_grad():
            logits: Any = target.model(torch.zeros(shape, device=device))
    except Exception as error:  # the network may be anybody's code
        raise InputError(
            f"{target.source!r} cannot take the images of {dataset.name!r} "
            f"({dataset.in_channels} channels, {size} px): "
            f"{one_line(error, 160) or type(error).__name__}"
        ) from error
    if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
        kind = getattr(logits, "dtype", type(logits).__name__)
        raise InputError(
            "a network must return one tensor of real logits (batch, classes); "
            f"{target.source!r} returns {str(kind).removeprefix('torch.')}"
        )
    if logits.ndim != 2 or logits.shape[1] < dataset.num_classes:
        raise InputError(
            f"{target.source!r} returns {tuple(logits.shape)[1:]} values an image, the "
            f"data set {dataset.name!r} has {dataset.num_classes} classes"
        )


def unique_names(targets: Sequence[Target]) -> list[Target]:
    """Tell targets of one name apart by their number.

    Args:
        targets: The networks in order.

    Returns:
        The same with different names.
    """
    names = [target.name for target in targets]
    return [
        replace(target, name=f"{target.name} ({names[: index + 1].count(target.name)})")
        if names.count(target.name) > 1
        else target
        for index, target in enumerate(targets)
    ]
