"""Take models out of a study: files that run without the search.

An export is a directory of one model. It is written beside its final place, every
file is checked against the network, and only then is it moved there: a failed export
leaves nothing behind.
"""

import csv
import importlib.metadata
import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from nas.config import TrainingConfig
from nas.csv_text import csv_row
from nas.data.preprocessing import Preprocessing
from nas.exporting.format import RECIPE, Format, require_packages
from nas.exporting.formats import (
    ARCHITECTURE,
    ONNX,
    PREPROCESSING,
    PROGRAM,
    WEIGHTS,
    WRITERS,
    WRITTEN,
    Exported,
    ExportError,
    load_network,
)
from nas.exporting.model_card import Origin, model_card
from nas.exporting.quantized import INT8, Quantized, write_int8
from nas.exporting.timm_hybrid import timm_model
from nas.exporting.timm_module import MODULE
from nas.exporting.trial_network import NetworkOf, TrialNetwork, network_of_weights
from nas.ledger.output_directory import output_directory
from nas.ledger.trial import Trial, TrialState
from nas.pareto.find_trial import BEST, LATEST, find_trial
from nas.pareto.table import ParetoTable, best_trial
from nas.prediction.winner import JudgedPlacement, judge_placements
from search_spaces import Backbone, InputError

if TYPE_CHECKING:
    from torch import nn

    from nas.data.datasets import Dataset
    from nas.study.study import Study

CARD = "README.md"
FRONT = "front.csv"
FILES = (
    ARCHITECTURE, PREPROCESSING, RECIPE, WEIGHTS, ONNX, INT8, PROGRAM, "config.json",
    f"{MODULE}.py", CARD, FRONT,
)  # fmt: skip
"""Every file an export may write; `--force` removes no other."""

ACCURACY_TOLERANCE = 0.005
"""Largest difference between the accuracy measured at export and the recorded one.

On the machine that trained the model they are equal. Our choice for another one
(trained on a GPU, exported on a CPU): its rounding may turn a tie, not half a percent.
"""


@dataclass(frozen=True)
class Choice:
    """Trials to export, and why, e.g. ``best accuracy`` or ``on the front``."""

    trials: tuple[Trial, ...]
    reason: str


def load_export(
    directory: str | Path, plugins: Collection[str] = ()
) -> "tuple[nn.Module, Preprocessing]":
    """Load an exported model.

    Args:
        directory: What ``nas export --to`` wrote, for one model.
        plugins: Modules of yours whose functions may be called: needed where the
            parent is such a function, because a file alone runs no code.

    Returns:
        The network in eval mode and the preprocessing of its images.

    Raises:
        InputError: It is not such a directory, or a file is damaged.
    """
    directory = Path(directory)
    missing = [
        name
        for name in (ARCHITECTURE, WEIGHTS, PREPROCESSING)
        if not (directory / name).is_file()
    ]
    if missing:
        raise InputError(
            "an export is a directory with "
            f"{ARCHITECTURE}, {WEIGHTS} and {PREPROCESSING}; "
            f"{str(directory)!r} has no {' and no '.join(missing)}"
        )
    preprocessing = Preprocessing.from_json(directory / PREPROCESSING)
    return load_network(directory, plugins), preprocessing


def choose_trials(study: "Study", which: str) -> Choice:
    """Find the trials a user means.

    Args:
        study: The study.
        which: A trial number, ``best`` (the best value of the first objective; among
            equals the one on the front, then the first trained), ``latest`` (trained
            last) or ``pareto`` (all of the front).

    Returns:
        The trials.

    Raises:
        InputError: There is no such trial, or it was not trained to its budget.
    """
    if which in (BEST, "pareto"):
        table = ParetoTable.of(study)
        if not table.on_front:
            raise InputError(
                f"no trial of {study.name!r} is trained yet; nothing to export"
            )
        if which == BEST:
            return Choice((best_trial(table),), f"best {table.front.metrics[0]}")
        return Choice(table.on_front, "on the front")
    try:
        number = find_trial(study, which)
    except InputError as error:
        raise InputError(
            f"what is exported is 'pareto' (the whole front) or one trial: {error}"
        ) from error
    trial = study.trial(number)
    if trial.state != TrialState.COMPLETE:
        raise InputError(
            f"a trial must be complete to be exported, trial {number} is {trial.state}"
        )
    return Choice((trial,), "by number" if which != LATEST else "trained last")


def formats_of(study: "Study") -> list[Format]:
    """Every format that models of a study can be written in.

    Args:
        study: The study.

    Returns:
        All, without timm's where the parent is neither an AlterNet nor timm's.
    """
    backbone = study.config.space.make_backbone()
    foreign = not isinstance(backbone, Backbone) and timm_model(backbone) is None
    return [f for f in Format if not (foreign and f == Format.TIMM)]


def export(
    study: "Study",
    which: str,
    directory: str | Path,
    formats: Sequence[Format] = (Format.YAML, Format.SAFETENSORS),
    *,
    force: bool = False,
    quantize: bool = False,
    license: str = "",
    plugins: Sequence[str] = (),
    network_of: NetworkOf = network_of_weights,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """Write models of a study into a directory.

    Args:
        study: The study.
        which: A trial number, ``best``, ``latest`` or ``pareto``; see
            `choose_trials`.
        directory: Where to. One model goes right into it, a front into one
            directory ``trial-<number>`` a model, beside front.csv.
        formats: What to write; YAML, preprocessing and weights are always written.
        force: Replace an earlier export.
        quantize: Also write the ONNX graph in 8-bit integers, and measure it.
        license: Licence of the weights, for the model card, e.g. ``"cc-by-4.0"``.
        plugins: Modules of the user whose functions may build a parent.
        network_of: Finds the network of a trial.
        tell: Is told in a line what is being done, and what was found.

    Returns:
        The absolute directory of each model.

    Raises:
        InputError: The trial, the directory or a missing package does not allow it.
        ExportError: A written file does not do what the network does, or the network
            does not reproduce its recorded accuracy.
    """
    from nas.data.datasets import load_dataset

    directory = Path(os.path.abspath(directory))
    asked = {Format.YAML, Format.SAFETENSORS, *formats}
    chosen = tuple(f for f in WRITERS if f in asked or (quantize and f == Format.ONNX))
    require_packages(chosen)
    choice = choose_trials(study, which)
    check_target(directory, force=force)
    judged = judge_placements(study, [trial.placement for trial in choice.trials])
    if which != "pareto" and choice.trials[0].placement in judged:
        tell(judged[choice.trials[0].placement].sentence())
    tell(f"reading the images of {study.config.data.name}")
    dataset = load_dataset(study.config.data)
    recorded = study.header.get("data_fingerprint")
    if recorded is not None and recorded != dataset.fingerprint:
        raise InputError(
            f"the images must be those of the search (fingerprint {recorded}), because "
            "the export is checked on them; the config now leads to others "
            f"({dataset.fingerprint})"
        )
    writer = _Writer(
        study,
        choice.reason,
        dataset,
        chosen,
        quantize,
        license,
        judged,
        tuple(plugins),
        network_of,
        tell,
    )
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    output_directory(partial.parent, "the directory of the export,")
    partial.mkdir()
    try:
        if which != "pareto":
            writer.write(choice.trials[0], partial)
            names = [""]
        else:
            names = [f"trial-{trial.number}" for trial in choice.trials]
            for trial, name in zip(choice.trials, names, strict=True):
                (partial / name).mkdir()
                writer.write(trial, partial / name)
            _write_front(study, partial / FRONT)
        _move(partial, directory)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return [directory / name for name in names]


def check_target(directory: Path, *, force: bool) -> None:
    """Check that a directory may be written.

    Args:
        directory: Where an export shall go.
        force: Whether an earlier export may be replaced.

    Raises:
        InputError: It holds something else, or an export without ``force``.
    """
    if not directory.name:
        raise InputError(
            f"an export needs a directory of its own, got {str(directory)!r}"
        )
    if directory.exists() and not directory.is_dir():
        raise InputError(f"an export goes into a directory; {directory} is a file")
    if not directory.is_dir() or not any(directory.iterdir()):
        return
    if not _is_export(directory):
        raise InputError(
            f"an export goes into a new or empty directory; {directory} holds other "
            "files and is left alone"
        )
    if not force:
        raise InputError(
            f"{directory} already holds an export; replace it by force, or choose "
            "another directory",
            hint="--force",
        )


def _is_export(directory: Path) -> bool:
    one = all((directory / n).is_file() for n in (ARCHITECTURE, PREPROCESSING))
    return one or (directory / FRONT).is_file()


@dataclass(frozen=True)
class _Writer:
    """Writes the export of one trial after the other."""

    study: "Study"
    reason: str
    dataset: "Dataset"
    formats: tuple[Format, ...]
    quantize: bool
    license: str
    judged: Mapping[str, JudgedPlacement]
    plugins: tuple[str, ...]
    network_of: NetworkOf
    tell: Callable[[str], None]

    def write(self, trial: Trial, directory: Path) -> None:
        """Write everything of one model, and check it."""
        study, dataset = self.study, self.dataset.resplit(trial.split_seed)
        name = f"trial {trial.number}"
        self.tell(f"{name}: building {trial.placement} and reading its weights")
        found = self.network_of(study, trial, dataset, self.plugins)
        exported = Exported(
            study.architecture(trial.number),
            found.model,
            Preprocessing.of(dataset),
            self.plugins,
        )
        for chosen in self.formats:
            self.tell(
                f"{name}: writing {WRITTEN[chosen]}, comparing it with the network"
            )
            WRITERS[chosen](directory, exported)
        quantized = None
        if self.quantize:
            self.tell(f"{name}: quantising on training images")
            quantized = self._quantized(found, dataset, exported, directory)
            self.tell(f"{name}: {quantized.sentence()}")
        self.tell(f"{name}: measuring the written files on the validation images")
        training = study.config.training if not found.made else found.training
        _write_recipe(study, trial, directory / RECIPE, found.training)
        origin = Origin(
            study.name,
            trial,
            self.reason,
            study.config.data.model_dump(mode="json", exclude={"root"})
            | ({} if trial.split_seed is None else {"resplit_seed": trial.split_seed}),
            {} if training is None else training.model_dump(mode="json"),
            dataset.fingerprint,
            {
                "train": len(dataset.train),
                "validation": len(dataset.validation),
                "test": len(dataset.test),
            },
            self._reproduce(trial, found, dataset, directory),
            {name: _version(name) for name in ("alternet-nas", "torch")},
            study.test_results().get(trial.number),
            found.made,
            quantized,
            self.license,
            self.judged[trial.placement].sentence()
            if trial.placement in self.judged
            else "",
        )
        card = model_card(exported, origin, self.formats)
        (directory / CARD).write_text(card, encoding="utf-8")

    def _quantized(
        self,
        found: TrialNetwork,
        dataset: "Dataset",
        exported: Exported,
        directory: Path,
    ) -> Quantized:
        return write_int8(
            directory / ONNX,
            exported,
            dataset.image_set(dataset.train),
            dataset.image_set(dataset.validation),
            found.num_images,
        )

    def _reproduce(
        self, trial: Trial, found: TrialNetwork, dataset: "Dataset", directory: Path
    ) -> float | None:
        """Validation accuracy of the written files, checked against the record."""
        from evaluators.registry import make_evaluators

        recorded = trial.metrics.get("accuracy")
        options = self.study.config.evaluators.get("accuracy")
        if recorded is None or options is None:
            return None
        if found.num_images is not None:
            options = {**options, "max_images": found.num_images}
        (evaluator,) = make_evaluators({"accuracy": options})
        model, preprocessing = load_export(directory, self.plugins)
        if (preprocessing.mean, preprocessing.std) != (dataset.mean, dataset.std):
            raise ExportError("the written preprocessing is not that of the data")
        measured = evaluator(model, dataset.evaluation_data())["accuracy"]
        if not abs(measured - recorded) <= ACCURACY_TOLERANCE:
            raise ExportError(
                f"trial {trial.number}: the exported model has validation accuracy "
                f"{measured:.4f}, recorded is {recorded:.4f}; are the data those of "
                "the search?"
            )
        return measured


def _write_recipe(
    study: "Study", trial: Trial, path: Path, training: TrainingConfig | None
) -> None:
    """Write the images (but not where they lie) and the recipe of the search.

    With a recipe of the trial's own it is that one.

    With it `nas evaluate EXPORT` measures on the same images, and `nas train` can
    repeat the training: a config that says nothing of a search.
    """
    kept = study.config.recipe().to_dict()
    del kept["data"]["root"]
    if training is not None:
        kept["training"] = training.model_dump(mode="json")
    if trial.split_seed is not None:
        kept["data"]["resplit_seed"] = trial.split_seed
    path.write_text(yaml.safe_dump(kept, sort_keys=False), encoding="utf-8")


def _write_front(study: "Study", path: Path) -> None:
    rows = ParetoTable.of(study).rows(study.test_results())
    rows = [csv_row(row) for row in rows if row["is_pareto"]]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _move(partial: Path, directory: Path) -> None:
    """Put the finished export in its place; other files there stay."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (directory / name).unlink(missing_ok=True)
    for old in directory.iterdir():
        if re.fullmatch(r"trial-\d+", old.name) and _is_export(old):
            shutil.rmtree(old)
    for new in partial.iterdir():
        new.rename(directory / new.name)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "from source"
