"""Scorer ``distilled``: a trained parent with blocks of its library, no training.

Says where another kind of block can enter the CNN that one has. It does not say which
network would be best if it were trained from scratch: that is another question, and the
answers differ.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.predictions import Predictions, check_logits
from evaluators.registry import make_evaluators
from evaluators.sampling import mean_and_error
from nas.config import SearchConfig
from nas.config.completion import metric_facts
from nas.data.augmentation import make_augmentation
from nas.ledger.atomic_file import write_atomically
from nas.scoring.block_library import Key
from nas.scoring.finetune_data import FineTuneData
from nas.scoring.images_at_once import images_at_once
from nas.scoring.parent_search import ParentSearch
from nas.scoring.replacement import replacement_option
from nas.scoring.scorer import Preparation, Scorer, Step
from nas.scoring.scorers import check_no_options
from nas.scoring.trial_run import TrialFunction, TrialOutcome, TrialRun
from nas.terminal import say
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError, shown
from search_spaces.parents.parent import Parent
from search_spaces.parents.placement_walk import Pieces
from search_spaces.spaces.space import SearchSpace

MAX_WALKED = 4_096
"""Largest space that is scored as a whole, whatever the sampler (our choice: the
ledger's own time, which grows faster than the number of its rows, stays below the
walk's); of larger ones the sampler chooses."""

DEFAULT_IMAGES = 2_000
"""Validation images of a score (our choice: a standard error of one point)."""

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
            score, the same for all placements. ``scoring.replacement``: ``library``,
            or as a control ``random``: the same blocks, drawn and not taught.
        quiet: Show no progress.

    Raises:
        InputError: The parent or its library cannot be used.
    """

    name: ClassVar[str] = "distilled"
    in_process: ClassVar[bool] = True

    def __init__(self, config: SearchConfig, quiet: bool = False) -> None:
        check_no_options(config, ("images", "replacement"))
        options = config.scoring.options
        self._num_images = images_option(options.get("images", DEFAULT_IMAGES))
        self._quiet = quiet
        replacement = replacement_option(options.get("replacement", "library"))
        self._search = ParentSearch(config, quiet, replacement)
        self._config = _scored_whole(self._search.config, self._search.space.size)
        self._blocks: Mapping[Key, nn.Module] | None = None

    @property
    def config(self) -> SearchConfig:
        """The config with the parent's slots as its space."""
        return self._config

    @property
    def space(self) -> SearchSpace:
        """Placements of the parent."""
        return self._search.space

    @property
    def function(self) -> TrialFunction:
        """Looks a placement up among those that were walked."""
        return self._score

    @property
    def epochs(self) -> int:
        """Nothing is trained."""
        return 0

    @property
    def parent(self) -> Parent:
        """The parent."""
        return self._search.parent

    @property
    def blocks(self) -> Mapping[Key, nn.Module]:
        """What may enter it, by stage, block and letter."""
        if self._blocks is None:
            raise RuntimeError("a scorer is prepared before it scores")
        return self._blocks

    def steps(self, study: Path) -> Iterator[Step]:
        """The training of the parent, if that is asked for."""
        return self._search.steps(study)

    @cached_property
    def data(self) -> FineTuneData:
        """What a cluster needs to teach blocks; no run needs any of it."""
        return self._search.data()

    def preparations(self, study: Path) -> Sequence[Preparation]:
        """On a cluster, the blocks that the library lacks.

        Args:
            study: Directory of the search.

        Raises:
            InputError: The library is of another parent, or cannot be read.
        """
        return self._search.tasks(study)

    def prepare(self, study: Path) -> None:
        """Fit the blocks that the library lacks.

        Args:
            study: Directory of the search.

        Raises:
            InputError: The library is of another parent, or cannot be read.
        """
        self._blocks = self._search.prepare(study, self._tell)

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The parent's fingerprint, the images, and what the metrics mean."""
        return {
            **self._search.provenance,
            "metrics": {**metric_facts(self._config), **EXTRA_METRICS},
        }

    def _tell(self, line: str) -> None:
        if not self._quiet:
            say(line, err=True)

    def _score(self, run: TrialRun) -> TrialOutcome:
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
        network = self.parent.network(architecture, self.blocks)
        training = self._config.training
        data = self._search.images.evaluation_data(
            make_augmentation(training, self._search.images.image_size),
            training.weight_decay,
        )
        (evaluator,) = make_evaluators({name: dict(options)})
        found = evaluator.evaluate(network, data)
        return TrialOutcome(found.metrics, found.standard_errors)

    @cached_property
    def _scores(self) -> dict[str, TrialOutcome]:
        """Scores by letters; a space that is small enough is walked at once."""
        self._cache: dict[str, TrialOutcome] = {}
        if self._search.space.size <= MAX_WALKED:
            texts = {a.placement.letters for a in self._search.space.enumerate()}
            self._tell(
                f"scoring all {len(texts)} placements of the space on {self._count} "
                "images"
            )
            self._walk(sorted(texts))
        return self._cache

    def _walk(self, placements: list[str]) -> None:
        own = zip(self.parent.slots, self.parent.own_blocks(), strict=True)
        blocks: list[dict[str, nn.Module]] = [
            {
                "C": block,
                **{
                    letter: self.blocks[stage, number, letter]
                    for letter in self._search.space.slot_letters(stage, number)
                    if letter != "C"
                },
            }
            for (stage, number), block in own
        ]
        names = self.parent.block_names
        pieces = Pieces(self.parent.model, names)
        # Of 4,096 placements and 1,000 classes the logits would take 32 GB.
        found: list[list[Tensor]] = [[] for _ in placements]
        held_out = self._search.images.image_set(self._search.images.validation)
        size = images_at_once(self._search.images.image_size)
        with torch.no_grad():
            for images, truth in held_out.batches(
                size, torch.device("cpu"), self._num_images
            ):
                # A network may work in place on its images.
                reference = self.parent.model(images.clone())
                for index, logits in pieces.walk(blocks, placements, images):
                    check_logits(logits, truth)
                    found[index].append(of_each_image(logits, truth, reference))
        for text, parts in zip(placements, found, strict=True):
            self._cache[text] = outcome(torch.cat(parts, dim=1))

    @property
    def _count(self) -> int:
        return min(self._num_images, len(self._search.images.validation))


def images_option(value: object) -> int:
    """Check ``scoring.images``.

    Args:
        value: What the config has.

    Raises:
        InputError: It is no number of images of which a standard error is known.
    """
    if type(value) is not int or value < 2:
        raise InputError(
            f"scoring.images is a whole number of at least 2, got {shown(value)}"
        )
    return value


def _scored_whole(config: SearchConfig, size: int) -> SearchConfig:
    """The config with which a small space is walked whole, and nothing twice.

    Args:
        config: Of the search.
        size: Of its space.
    """
    changes: dict[str, Any] = {"replicates": 1}
    if size <= MAX_WALKED:
        changes |= {"sampler": "exhaustive", "trials": size, "options": {}}
    search = config.search.model_copy(update=changes)
    return config.model_copy(update={"search": search})


def of_each_image(logits: Tensor, labels: Tensor, reference: Tensor) -> Tensor:
    """What a candidate makes of each image, beside its parent.

    Args:
        logits: The candidate's, ``(images, classes)``.
        labels: ``(images,)``.
        reference: The parent's logits.

    Returns:
        ``accuracy``, ``nll``, ``kl_to_parent`` and ``agreement``, float64
        ``(4, images)``.
    """
    predictions = Predictions(logits.float(), labels)
    ours = functional.log_softmax(logits.double(), dim=1)
    theirs = functional.log_softmax(reference.double(), dim=1)
    return torch.stack(
        [
            predictions.correct(),
            predictions.losses(),
            (theirs.exp() * (theirs - ours)).sum(dim=1),
            (logits.argmax(1) == reference.argmax(1)).double(),
        ]
    )


def outcome(values: Tensor) -> TrialOutcome:
    """Metrics of a candidate, with their standard errors over images.

    Args:
        values: Of :func:`of_each_image`.
    """
    names = ("accuracy", "nll", "kl_to_parent", "agreement")
    pairs = {name: mean_and_error(row) for name, row in zip(names, values, strict=True)}
    return TrialOutcome(
        {name: mean for name, (mean, _) in pairs.items()},
        {name: error for name, (_, error) in pairs.items()},
    )
