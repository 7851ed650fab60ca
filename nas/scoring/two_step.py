"""Scorer ``two_step``: score the whole space without training, fine-tune a part of it.

The first step is a study inside the study (``<study>/scores``, scorer ``distilled``).
The second one fine-tunes the parent, a balanced random part of the space, and what the
first step found promising; its trials are those of the study itself (scorer
``finetune``). The random part follows from the space and the seed alone, so no score
can have a say in it: it tells how far the scores can be trusted, and is what the rule
is tested on.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from nas.config import SearchConfig
from nas.config.parent import ParentConfig
from nas.config.running import SamplingConfig
from nas.config.scoring import ScoringConfig
from nas.ledger.trial import Objective, Trial, TrialState
from nas.pareto.front import non_dominated
from nas.prediction.score_agreement import SCORES
from nas.sampling.balanced_designs import factorial_architectures, uniform_design
from nas.sampling.planned import Planned
from nas.scoring.distilled import (
    DEFAULT_IMAGES,
    EXTRA_METRICS,
    MAX_WALKED,
    images_option,
)
from nas.scoring.finetune import FineTune
from nas.scoring.finetune_data import FineTuneData
from nas.scoring.parent_search import library_directory
from nas.scoring.parent_space import parent_config
from nas.scoring.scorer import Preparation, Scorer, Step
from nas.scoring.trained_parent import trained_directory
from nas.scoring.trial_run import TrialFunction
from nas.study.study import Study
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError, shown
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace

if TYPE_CHECKING:
    from nas.data.datasets import Dataset

DEFAULT_RANDOM = 48
"""Placements of the random part (our choice: Kendall's tau of such a number has a
standard error of about 0.1)."""

DEFAULT_PROMISING = 16
"""Placements that the first step chooses (our choice)."""

DEFAULT_SCORED = 1_000
"""Placements of the first step where a space is too large to be scored whole."""

_OF_SCORES = frozenset({"accuracy", "nll", "params", "macs", *EXTRA_METRICS})
"""Metrics that a score has without further evaluators."""


class TwoStep(Scorer):
    """Fine-tunes what the scores of the whole space point to, and a random part.

    Args:
        config: As for :class:`nas.scoring.finetune.FineTune`; ``scoring`` may also have
            ``random`` and ``promising`` (placements of the two parts), ``images`` (of a
            score) and ``scored`` (placements of the first step in spaces of more than
            4,096).
        quiet: Show no progress.

    Raises:
        InputError: The parent, its library or an option cannot be used.
    """

    # The trials of this study are fine-tuned; those of its first step are not in it.
    name: ClassVar[str] = "finetune"

    def __init__(self, config: SearchConfig, quiet: bool = False) -> None:
        own = ("images", "random", "promising", "scored")
        self._finetune = FineTune(config, quiet, own)
        options = config.scoring.options
        images_option(options.get("images", DEFAULT_IMAGES))
        self._num_random = _number(options, "random", DEFAULT_RANDOM)
        self._num_promising = _number(options, "promising", DEFAULT_PROMISING)
        self._scored = max(1, _number(options, "scored", DEFAULT_SCORED))
        if self._num_random + self._num_promising < 1:
            raise InputError(
                "a search in two steps fine-tunes something: scoring.random + "
                "scoring.promising must be at least 1, got 0"
            )
        self._config = self._planned_config(self._finetune.config)

    def _planned_config(self, config: SearchConfig) -> SearchConfig:
        """The config that says how many trials there will be."""
        others = self.space.size - int(self.space.contains(self._parent))
        number = 1 + min(others, self._num_random + self._num_promising)
        search = config.search
        repeated = min(search.replicate_first or number, number)
        trials = number + (search.replicates - 1) * repeated
        changes = {"sampler": "factorial", "options": {}, "baselines": False}
        search = search.model_copy(update={**changes, "trials": trials})
        return config.model_copy(update={"search": search})

    @property
    def config(self) -> SearchConfig:
        """The config with the parent's slots as its space, and all trials counted."""
        return self._config

    @property
    def space(self) -> SearchSpace:
        """Placements of the parent."""
        return self._finetune.space

    @property
    def dataset(self) -> "Dataset":
        """The images."""
        return self._finetune.dataset

    @property
    def data(self) -> FineTuneData:
        """As for the fine-tuning alone."""
        return self._finetune.data

    @property
    def function(self) -> TrialFunction:
        """Fine-tuning and evaluation in a worker."""
        return self._finetune.function

    @property
    def epochs(self) -> int:
        """Budget of a fine-tuning."""
        return self._finetune.epochs

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The parent's fingerprint."""
        return self._finetune.provenance

    def steps(self, study: Path) -> Iterator[Step]:
        """The training of the parent, if that is asked for, and the scores."""
        yield from self._finetune.steps(study)
        yield Step(study / SCORES, self._config_of_scores(study), "scores of the space")

    def preparations(self, study: Path) -> Sequence[Preparation]:
        """As for the fine-tuning alone."""
        return self._finetune.preparations(study)

    def prepare(self, study: Path) -> None:
        """As for the fine-tuning alone."""
        self._finetune.prepare(study)

    def planned(self, study: Path) -> Sequence[Planned]:
        """The parent, then in turns one of the random part and one promising.

        Args:
            study: Directory of the search; its first step is finished.
        """
        drawn = random_part(self.space, self._num_random, self.config.seed)
        taken = {self._parent.id, *(one.id for one in drawn)}
        best = promising_part(Study.open(study / SCORES), self._num_promising, taken)
        turns = zip_longest(
            (Planned(one, "random") for one in drawn),
            (Planned(one, "promising") for one in best),
        )
        rest = [one for pair in turns for one in pair if one is not None]
        return [Planned(self._parent, baseline="all_conv"), *rest]

    @property
    def _parent(self) -> Architecture:
        return self.space.architecture(Placement.all_conv(self.space.backbone.depths))

    def _config_of_scores(self, study: Path) -> SearchConfig:
        config = self._finetune.config
        parent = parent_config(config)
        library = library_directory(config, study)
        if parent.train:
            parent = ParentConfig(model=str(trained_directory(study)))
        scoring = {"kind": "distilled"} | {
            name: value
            for name, value in config.scoring.options.items()
            if name in ("images", "replacement")
        }
        changes: dict[str, Any] = {
            "name": f"{config.name}-{SCORES}"[:100],
            "parent": parent.with_library(library),
            "scoring": ScoringConfig.model_validate(scoring),
            "search": SamplingConfig(
                sampler="tpe",
                trials=self._scored,
                allow_noisy=config.search.allow_noisy,
            ),
            "rule": None,
        }
        if {objective.metric for objective in self.objectives} <= _OF_SCORES:
            # Evaluators that need each network for themselves cost more than scores.
            changes["evaluators"] = {"accuracy": {}, "cost": {}}
        if self.space.size <= MAX_WALKED:
            changes["search"] = SamplingConfig(
                sampler="exhaustive", allow_noisy=config.search.allow_noisy
            )
        return config.model_copy(update=changes)


def random_part(space: SearchSpace, number: int, seed: int) -> list[Architecture]:
    """A balanced draw from a space, the parent left out; looks at nothing else.

    Args:
        space: Placements of a parent.
        number: How many; fewer if the space has no more.
        seed: Of the draw.

    Returns:
        The beginning of the ``factorial`` design; where slots have other kinds than
        ``C`` and ``M``, of the ``uniform`` one.
    """
    depths = space.backbone.depths
    slots = [slot[:2] for slot in Placement.all_conv(depths).slots()]
    letters = {letter for slot in slots for letter in space.slot_letters(*slot)}
    design = factorial_architectures if letters <= {"C", "M"} else uniform_design
    found = (a for a in design(space, seed) if set(a.placement.letters) != {"C"})
    return list(islice(found, number))


def promising_part(scores: Study, number: int, taken: set[str]) -> list[Architecture]:
    """The best of a study: its front, then the front of the others, and so on.

    Args:
        scores: The study.
        number: How many; fewer if there are no more.
        taken: Ids of architectures that are not chosen.

    Returns:
        Architectures. Of a front that does not fit whole, those best by the first
        objective.
    """
    objectives: tuple[Objective, ...] = scores.objectives
    left = [
        trial
        for trial in scores.trials()
        if trial.state == TrialState.COMPLETE and trial.architecture_id not in taken
    ]
    first = objectives[0]
    left.sort(key=lambda t: t.metrics[first.metric], reverse=first.maximize)
    chosen: list[Trial] = []
    while left and len(chosen) < number:
        values = np.array([[t.metrics[o.metric] for o in objectives] for t in left])
        front = non_dominated(values, [o.direction for o in objectives])
        chosen += [t for t, is_best in zip(left, front, strict=True) if is_best]
        left = [t for t, is_best in zip(left, front, strict=True) if not is_best]
    return [Architecture.from_dict(dict(t.architecture)) for t in chosen[:number]]


def _number(options: Mapping[str, Any], name: str, default: int) -> int:
    value = options.get(name, default)
    if type(value) is not int or value < 0:
        raise InputError(f"scoring.{name} is a whole number from 0, got {shown(value)}")
    return value
