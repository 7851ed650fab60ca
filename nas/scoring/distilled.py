"""Scorer ``distilled``: a trained parent with blocks of its library, no training.

Says where another kind of block can enter the CNN that one has. It does not say which
network would be best if it were trained from scratch: that is another question, and the
answers differ.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.predictions import Predictions, check_logits
from evaluators.registry import make_evaluators
from evaluators.sampling import mean_and_error
from nas.config import SearchConfig
from nas.config.completion import metric_facts
from nas.data.augmentation import make_augmentation
from nas.data.datasets import load_dataset
from nas.ledger.atomic_file import write_atomically
from nas.scoring.block_library import BlockLibrary
from nas.scoring.library_fitting import fit_library
from nas.scoring.parent_space import (
    parent_config,
    read_parent,
    replacements,
    with_parent,
)
from nas.scoring.scorer import Scorer
from nas.scoring.scorers import check_no_options
from nas.scoring.trial_run import TrialFunction, TrialOutcome, TrialRun
from nas.terminal import say
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.parents.placement_walk import Pieces
from search_spaces.spaces.space import SearchSpace

if TYPE_CHECKING:
    pass

MAX_WALKED = 4_096
"""Largest space that is scored as a whole, whatever the sampler (our choice: the
ledger's own time, which grows faster than the number of its rows, stays below the
walk's); of larger ones the sampler chooses."""

DEFAULT_IMAGES = 2_000
"""Validation images of a score (our choice: a standard error of one point)."""

_BATCH = 250

EXTRA_METRICS: dict[str, dict[str, str]] = {
    "kl_to_parent": {
        "unit": "nats",
        "direction": "minimize",
        "definition": "Mean KL divergence of the candidate's prediction from the "
        "parent's on the scored images",
    },
    "agreement": {
        "unit": "fraction",
        "direction": "maximize",
        "definition": "Share of the scored images whose largest logit is the parent's",
    },
}
"""What a scored placement has besides the metrics of evaluators."""


class Distilled(Scorer):
    """Scores placements of a trained parent with the blocks of its library.

    Args:
        config: Has a section ``parent``. ``scoring.images``: validation images of a
            score, the same for all placements.
        quiet: Show no progress.

    Raises:
        InputError: The parent or its library cannot be used.
    """

    name: ClassVar[str] = "distilled"
    in_process: ClassVar[bool] = True

    def __init__(self, config: SearchConfig, quiet: bool = False) -> None:
        check_no_options(config, ("images",))
        self._num_images = config.scoring.options.get("images", DEFAULT_IMAGES)
        if type(self._num_images) is not int or self._num_images < 2:
            raise InputError(
                "scoring.images is a whole number of at least 2, got "
                f"{self._num_images!r}"
            )
        self._quiet = quiet
        parent_config(config)
        self._images = load_dataset(config.data, quiet=quiet)
        self._parent = read_parent(config, self._images)
        config = with_parent(config, self._parent)
        self._space = config.space.make(
            self._images.num_classes, self._images.in_channels, self._images.image_size
        )
        self._wanted = replacements(self._space)
        if self._space.size <= MAX_WALKED:
            search = config.search.model_copy(
                update={
                    "sampler": "exhaustive",
                    "trials": self._space.size,
                    "options": {},
                    "replicates": 1,
                }
            )
            config = config.model_copy(update={"search": search})
        elif config.search.replicates > 1:
            search = config.search.model_copy(update={"replicates": 1})
            config = config.model_copy(update={"search": search})
        self._config = config
        self._library: BlockLibrary | None = None
        path = parent_config(config).library.path
        if path is not None:  # a library of another parent is told before the search
            self._library = self._fitted(Path(path))

    @property
    def config(self) -> SearchConfig:
        """The config with the parent's slots as its space."""
        return self._config

    @property
    def space(self) -> SearchSpace:
        """Placements of the parent."""
        return self._space

    @property
    def function(self) -> TrialFunction:
        """Looks a placement up among those that were walked."""
        return self._score

    @property
    def epochs(self) -> int:
        """Nothing is trained."""
        return 0

    @property
    def parent(self) -> Any:
        """The parent."""
        return self._parent

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The parent's fingerprint, the images, and what the metrics mean."""
        return {
            "parent": self._parent.fingerprint,
            "data_fingerprint": self._images.fingerprint,
            "metrics": {**metric_facts(self._config), **EXTRA_METRICS},
        }

    def _tell(self, line: str) -> None:
        if not self._quiet:
            say(line, err=True)

    def _fitted(self, directory: Path) -> BlockLibrary:
        return fit_library(
            self._parent,
            self._wanted,
            self._images,
            self._config,
            directory,
            tell=self._tell,
        )

    def _score(self, run: TrialRun) -> TrialOutcome:
        if self._library is None:
            # <study>/trials/<number> is the run's own directory.
            self._library = self._fitted(run.directory.parents[1] / "library")
        architecture = Architecture.from_dict(dict(run.architecture))
        letters = architecture.placement.letters
        if letters not in self._scores:
            self._walk([letters])
        found = self._scores[letters]
        metrics = dict(found.metrics)
        metrics.update(params=float(architecture.params), macs=float(architecture.macs))
        errors = dict(found.standard_errors)
        for name, options in self._config.evaluators.items():
            if name not in ("accuracy", "cost"):
                measured = self._evaluate(architecture, name, options)
                metrics.update(measured.metrics)
                errors.update(measured.standard_errors)
        run.directory.mkdir(parents=True, exist_ok=True)
        architecture.to_yaml(run.directory / "architecture.yaml")
        record = {
            "metrics": metrics,
            "standard_errors": errors,
            "seed": run.seed,
            "epochs": run.epochs,
        }
        write_atomically(run.directory / "metrics.json", json.dumps(record, indent=1))
        return TrialOutcome(metrics, errors)

    def _evaluate(
        self, architecture: Architecture, name: str, options: Mapping[str, Any]
    ) -> TrialOutcome:
        """An evaluator that needs the network itself."""
        assert self._library is not None
        network = self._parent.network(architecture, self._library.blocks)
        training = self._config.training
        data = self._images.evaluation_data(
            make_augmentation(training, self._images.image_size), training.weight_decay
        )
        (evaluator,) = make_evaluators({name: dict(options)})
        found = evaluator.evaluate(network, data)
        return TrialOutcome(found.metrics, found.standard_errors)

    @cached_property
    def _scores(self) -> dict[str, TrialOutcome]:
        """Scores by letters; a space that is small enough is walked at once."""
        self._cache: dict[str, TrialOutcome] = {}
        if self._space.size <= MAX_WALKED:
            texts = {a.placement.letters for a in self._space.enumerate()}
            self._walk(sorted(texts))
        return self._cache

    def _walk(self, placements: list[str]) -> None:
        assert self._library is not None
        self._tell(f"scoring {len(placements)} placements on {self._count} images")
        own = zip(self._parent.slots, self._parent.own_blocks(), strict=True)
        blocks: list[dict[str, nn.Module]] = [
            {
                "C": block,
                **{
                    letter: self._library.blocks[stage, number, letter]
                    for letter in self._space.slot_letters(stage, number)
                    if letter != "C"
                },
            }
            for (stage, number), block in own
        ]
        names = self._parent.block_names
        pieces = Pieces(self._parent.model, names)
        logits: list[list[Tensor]] = [[] for _ in placements]
        parents: list[Tensor] = []
        labels: list[Tensor] = []
        held_out = self._images.image_set(self._images.validation)
        with torch.no_grad():
            for images, truth in held_out.batches(
                _BATCH, torch.device("cpu"), self._num_images
            ):
                parents.append(self._parent.model(images))
                labels.append(truth)
                for index, values in pieces.walk(blocks, placements, images):
                    check_logits(values, truth)
                    logits[index].append(values)
        all_labels, reference = torch.cat(labels), torch.cat(parents)
        for text, parts in zip(placements, logits, strict=True):
            self._cache[text] = outcome(torch.cat(parts), all_labels, reference)

    @property
    def _count(self) -> int:
        return min(int(self._num_images), len(self._images.validation))


def outcome(logits: Tensor, labels: Tensor, reference: Tensor) -> TrialOutcome:
    """Metrics of a candidate beside its parent.

    Args:
        logits: The candidate's, ``(images, classes)``.
        labels: ``(images,)``.
        reference: The parent's logits.

    Returns:
        ``accuracy``, ``nll``, ``kl_to_parent`` and ``agreement`` with standard errors.
    """
    predictions = Predictions(logits.float(), labels)
    ours = functional.log_softmax(logits.double(), dim=1)
    theirs = functional.log_softmax(reference.double(), dim=1)
    samples = {
        "accuracy": predictions.correct(),
        "nll": predictions.losses(),
        "kl_to_parent": (theirs.exp() * (theirs - ours)).sum(dim=1),
        "agreement": (logits.argmax(1) == reference.argmax(1)).double(),
    }
    pairs = {name: mean_and_error(values) for name, values in samples.items()}
    return TrialOutcome(
        {name: mean for name, (mean, _) in pairs.items()},
        {name: error for name, (_, error) in pairs.items()},
    )
