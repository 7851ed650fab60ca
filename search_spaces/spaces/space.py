"""Sets of architectures that differ in placement and, if asked, in attention settings.

A space is a product over stages. What a stage may look like is summed up in
*stage classes*: all fillings of a stage that have the same first letter, number of
blocks of each kind and attention settings cost the same, because blocks of equal shape
do. Sizes of constrained spaces are therefore exact and uniform samples need no
rejection, however large the space is.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from search_spaces.architecture import Architecture
from search_spaces.backbone import Backbone
from search_spaces.block_cost import Cost
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.kinds.attention import Attention, Setting
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.latency_table import LatencyTable, block_key
from search_spaces.networks.parent_backbone import ParentBackbone
from search_spaces.placement import Placement
from search_spaces.spaces.constraints import Constraints

Integers = npt.NDArray[np.int64]

CHOICES = ("heads", "head_dim", "window")


class SuggestingTrial(Protocol):
    """The part of an Optuna trial that a space needs."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Pick one of the choices."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Pick a whole number, both ends included."""


class _StageClass(NamedTuple):
    """Fillings of one stage that cost the same, and how many there are."""

    first: str
    counts: "Counts"
    settings: tuple[int, ...]
    multiplicity: int
    params: int
    macs: int
    nanoseconds: int

    def count(self, letter: str) -> int:
        """Blocks of one kind."""
        return dict(self.counts).get(letter, 0)


Counts = tuple[tuple[str, int], ...]
"""Letters of a stage and how many blocks of each it has, in the order of its kinds."""


@dataclass(frozen=True)
class SearchSpace(ABC):
    """A finite set of architectures; see :class:`FreeSpace` and its sibling.

    Attributes:
        backbone: Its depths give the number of slots of each stage.
        attention: Settings shared by all architectures.
        choices: Settings that are searched: ``heads``, ``head_dim`` or ``window``
            to a list with, for each stage, the list of values to choose from. A
            setting of a stage without any MSA is not searched.
        constraints: Bounds on blocks, parameters, MACs and latency.
        strided_msas: Whether the strided first block of a stage may be replaced.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.
        latency_table: Block times of the device that ``max_latency`` is about.
        kinds: Letters that a block may have: one text for all stages, or one per
            stage. Every stage may keep its Conv blocks: ``C`` comes first.

    Raises:
        InputError: The parts do not fit together, or no architecture is left.
    """

    backbone: Backbone | ParentBackbone
    attention: Attention = field(default_factory=Attention)
    choices: Mapping[str, Sequence[Sequence[Setting]]] = field(default_factory=dict)
    constraints: Constraints = field(default_factory=Constraints)
    strided_msas: bool = False
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    latency_table: LatencyTable | None = None
    kinds: str | Sequence[str] = "CM"

    def __post_init__(self) -> None:
        num_stages = self.backbone.num_stages
        object.__setattr__(self, "kinds", _kinds_per_stage(self.kinds, num_stages))
        attention = self.attention.per_stage(num_stages, self.backbone.auto_heads)
        object.__setattr__(self, "attention", attention)
        choices: dict[str, tuple[tuple[Setting, ...], ...]] = {}
        for what, per_stage in self.choices.items():
            if what not in CHOICES:
                raise InputError(
                    f"a space can choose {', '.join(CHOICES)}; got {what!r}"
                )
            if len(per_stage) != num_stages or any(not v for v in per_stage):
                raise InputError(
                    f"choices of {what} need a list of values for each of the "
                    f"{num_stages} stages, got {per_stage!r}"
                )
            for values in per_stage:
                if len(set(values)) != len(values):
                    raise InputError(
                        f"choices of {what} must differ, got {list(values)}"
                    )
                replace(self.attention, **{what: tuple(values)})  # type: ignore[arg-type]  # checks
            choices[what] = tuple(tuple(values) for values in per_stage)
        object.__setattr__(self, "choices", choices)
        self._reject_equal_windows()
        if self.constraints.max_latency is not None and self.latency_table is None:
            raise InputError(
                "constraint max_latency needs the block times of a device: name a file "
                "as space.latency_table that was measured on that device",
                hint="nas space CONFIG --measure-latency FILE.yaml writes one",
            )
        if self.size == 0:
            raise InputError(
                "no architecture of the space keeps to its constraints: "
                f"{self._bounds()}; {self._reachable()}"
            )

    def _reject_equal_windows(self) -> None:
        """Two choices that resolve to one window would be one architecture twice."""
        if "window" not in self.choices:
            return
        for stage in range(self.backbone.num_stages):
            specs = [
                self._build(
                    Placement.all_msa(self.backbone.depths),
                    {("window", stage): value},
                ).block_specs
                for value in self.choices["window"][stage]
            ]
            resolved = [
                next(s.setting("window") for s in one if s.stage == stage + 1)
                for one in specs
            ]
            if len(set(resolved)) != len(resolved):
                raise InputError(
                    f"choices of window must differ; in stage {stage + 1} "
                    f"{list(self.choices['window'][stage])} give windows {resolved}"
                )

    # --- what the two kinds decide -------------------------------------------

    @abstractmethod
    def _fillings(self, stage: int, first: str, counts: Counts) -> int:
        """How many fillings a stage (from 0) has with this first letter and counts."""

    @abstractmethod
    def _fill(self, stage: int, first: str, counts: Counts, index: int) -> str:
        """The filling number ``index`` among those counted by :meth:`_fillings`."""

    @abstractmethod
    def _suggest_placement(self, trial: SuggestingTrial) -> Placement:
        """Ask the trial for a placement."""

    @abstractmethod
    def _placement_parameters(self, placement: Placement) -> dict[str, Any]:
        """The answers that make :meth:`_suggest_placement` give this placement."""

    # --- the set ---------------------------------------------------------------

    @cached_property
    def size(self) -> int:
        """Exact number of architectures in the space."""
        return sum(weight for weight, _ in self._combinations)

    def contains(self, architecture: Architecture) -> bool:
        """Whether the architecture is one of the space's.

        Args:
            architecture: Any architecture.

        Returns:
            True if the space enumerates it.
        """
        placement = architecture.placement
        if placement.depths != self.backbone.depths:
            return False
        try:
            self._placement_parameters(placement)
            twin = self.architecture(placement, self._settings_of(architecture))
        except InputError:
            return False
        return twin == architecture and not self.is_infeasible(architecture)

    def violations(self, architecture: Architecture) -> dict[str, float]:
        """How far each constraint is missed; values <= 0 are kept."""
        return self.constraints.violations(
            architecture.placement.stages,
            architecture.cost,
            self.latency(architecture),
        )

    def latency(self, architecture: Architecture) -> float | None:
        """Estimated seconds of a forward pass of a batch; ``None`` without a table.

        Args:
            architecture: One of the space's, or a baseline of its backbone.

        Raises:
            InputError: A block is not in the table.
        """
        if self.latency_table is None:
            return None
        return self.latency_table.seconds(architecture.block_specs)

    def distinct_blocks(self) -> list[BlockSpec]:
        """One block of each shape that some architecture or baseline has."""
        found: dict[str, BlockSpec] = {}
        for stage in range(self.backbone.num_stages):
            counts = [len(values[stage]) for values in self.choices.values()]
            for indices in product(*map(range, counts)):
                settings = self._named_settings(stage, indices)
                for letter in self.kinds[stage]:
                    fill = Placement.filled(self.backbone.depths, letter)
                    for spec in self._build(fill, settings).block_specs:
                        if spec.stage == stage + 1:
                            found[block_key(spec)] = spec
        return list(found.values())

    def is_infeasible(self, architecture: Architecture) -> bool:
        """Whether the architecture misses a constraint."""
        return any(value > 0 for value in self.violations(architecture).values())

    def sample(self, rng: random.Random) -> Architecture:
        """Draw an architecture uniformly.

        Args:
            rng: Source of randomness.

        Returns:
            An architecture that keeps to the constraints.
        """
        index = rng.randrange(self.size)
        found = iter(self._combinations)
        weight, classes = next(found)
        while index >= weight:
            index -= weight
            weight, classes = next(found)
        stages, settings = [], {}
        for stage, one in enumerate(classes):
            index, place = divmod(index, one.multiplicity)
            stages.append(self._fill(stage, one.first, one.counts, place))
            settings.update(self._named_settings(stage, one.settings))
        return self._build(Placement(tuple(stages)), settings)

    def enumerate(self) -> Iterator[Architecture]:
        """Walk through all architectures, each once, in a fixed order.

        Yields:
            Architectures that keep to the constraints.
        """
        for _, classes in self._combinations:
            fills = [
                [
                    self._fill(stage, one.first, one.counts, place)
                    for place in range(one.multiplicity)
                ]
                for stage, one in enumerate(classes)
            ]
            settings: dict[tuple[str, int], Setting] = {}
            for stage, one in enumerate(classes):
                settings.update(self._named_settings(stage, one.settings))
            for stages in product(*fills):
                yield self._build(Placement(stages), settings)

    def suggest(self, trial: SuggestingTrial) -> Architecture:
        """Ask an Optuna trial for an architecture (define by run).

        The answer may miss a constraint: check :meth:`is_infeasible`, and tell the
        sampler through :meth:`violations`.

        Args:
            trial: Anything with ``suggest_categorical`` and ``suggest_int``.

        Returns:
            The suggested architecture.
        """
        placement = self._suggest_placement(trial)
        settings: dict[tuple[str, int], Setting] = {}
        for stage, letters in enumerate(placement.stages):
            for what, per_stage in self.choices.items():
                if _attends(letters) and len(per_stage[stage]) > 1:
                    settings[what, stage] = trial.suggest_categorical(
                        f"{what}_s{stage + 1}", list(per_stage[stage])
                    )
        return self._build(placement, settings)

    def parameters(self, architecture: Architecture) -> dict[str, Any]:
        """The answers with which :meth:`suggest` gives this architecture.

        Args:
            architecture: One of the space's (its constraints are not looked at).

        Returns:
            Parameter names and values, ready for ``study.enqueue_trial``.

        Raises:
            InputError: The space cannot express the architecture.
        """
        found = self._placement_parameters(architecture.placement)
        for (what, stage), value in self._settings_of(architecture).items():
            if (
                _attends(architecture.placement.stages[stage])
                and len(self.choices[what][stage]) > 1
            ):
                found[f"{what}_s{stage + 1}"] = value
        return found

    def architecture(
        self,
        placement: Placement,
        settings: Mapping[tuple[str, int], Setting] | None = None,
    ) -> Architecture:
        """The space's architecture with a placement (and first choices elsewhere).

        Args:
            placement: Where the MSAs are; may lie outside the space, as
                baselines do.
            settings: Chosen values by (setting, stage from 0).

        Returns:
            The architecture.

        Raises:
            InputError: The placement does not fit the backbone.
        """
        if placement.depths != self.backbone.depths:
            raise InputError(
                f"placements of this space have depths {list(self.backbone.depths)}, "
                f"got {placement}"
            )
        return self._build(placement, settings or {})

    def slot_is_free(self, stage: int, block: int) -> bool:
        """Whether the space lets a slot be replaced; stage and block count from 1."""
        return len(self.slot_letters(stage, block)) > 1

    def slot_letters(self, stage: int, block: int) -> str:
        """The letters that a slot may have, ``C`` first; stage and block from 1."""
        strided = block == 1 and self.backbone.strides[stage - 1] > 1
        return "C" if strided and not self.strided_msas else self.kinds[stage - 1]

    def cost_range(self) -> tuple[Cost, Cost]:
        """The smallest and the largest parameters and MACs in the space."""
        fixed = self._fixed_cost
        totals = [
            (
                sum(one.params for one in classes) + fixed.params,
                sum(one.macs for one in classes) + fixed.macs,
            )
            for _, classes in self._combinations
        ]
        params, macs = zip(*totals, strict=True)
        return Cost(min(params), min(macs)), Cost(max(params), max(macs))

    def latency_range(self) -> tuple[float, float] | None:
        """The smallest and the largest estimated seconds; ``None`` without a table."""
        if self.latency_table is None:
            return None
        fixed = self.latency_table.fixed
        totals = [
            sum(one.nanoseconds for one in classes) + fixed
            for _, classes in self._combinations
        ]
        return min(totals) * 1e-9, max(totals) * 1e-9

    # --- internals -------------------------------------------------------------

    def _build(
        self, placement: Placement, settings: Mapping[tuple[str, int], Setting]
    ) -> Architecture:
        attention = self.attention
        for what, per_stage in self.choices.items():
            values = [
                settings.get((what, stage), options[0])
                for stage, options in enumerate(per_stage)
            ]
            attention = replace(attention, **{what: tuple(values)})  # type: ignore[arg-type]
        return Architecture(
            self.backbone,
            placement,
            attention,
            self.num_classes,
            self.in_channels,
            self.image_size,
        )

    def _settings_of(
        self, architecture: Architecture
    ) -> dict[tuple[str, int], Setting]:
        """Which choice each searched setting of an architecture is."""
        found: dict[tuple[str, int], Setting] = {}
        for what, per_stage in self.choices.items():
            given = cast(tuple[Setting, ...], getattr(architecture.attention, what))
            for stage, options in enumerate(per_stage):
                if not _attends(architecture.placement.stages[stage]):
                    continue
                value = given[stage]
                if value not in options:  # a resolved window stands for "auto"
                    value = "auto"
                if value not in options:
                    raise InputError(
                        f"{what} of stage {stage + 1} is one of {list(options)} in "
                        f"this space, got {given[stage]!r}"
                    )
                found[what, stage] = value
        return found

    def _named_settings(
        self, stage: int, indices: tuple[int, ...]
    ) -> dict[tuple[str, int], Setting]:
        return {
            (what, stage): per_stage[stage][index]
            for (what, per_stage), index in zip(
                self.choices.items(), indices, strict=False
            )
        }

    @cached_property
    def _fixed_cost(self) -> Cost:
        """Cost of stem and head, which all architectures share."""
        one = self._build(Placement.all_conv(self.backbone.depths), {})
        total = one.cost
        blocks = [block_kind(spec.letter).cost(spec) for spec in one.block_specs]
        return Cost(
            total.params - sum(block.params for block in blocks),
            total.macs - sum(block.macs for block in blocks),
        )

    def _stage_classes(self, stage: int) -> list[_StageClass]:
        depth = self.backbone.depths[stage]
        option_counts = [len(values[stage]) for values in self.choices.values()]
        found = []
        for first in self.slot_letters(stage + 1, 1):
            for counts in _all_counts(self.kinds[stage], depth):
                fillings = self._fillings(stage, first, counts)
                if not fillings:
                    continue
                letters = _letters(self.kinds[stage], depth, counts)
                rest = letters.replace(first, "", 1)
                # A stage without an MSA has no settings to choose.
                indices = (
                    product(*map(range, option_counts)) if _attends(letters) else [()]
                )
                for settings in indices:
                    stages = ["C" * d for d in self.backbone.depths]
                    stages[stage] = first + rest
                    one = self._build(
                        Placement(tuple(stages)), self._named_settings(stage, settings)
                    )
                    costs = [
                        block_kind(spec.letter).cost(spec)
                        for spec in one.block_specs
                        if spec.stage == stage + 1
                    ]
                    found.append(
                        _StageClass(
                            first,
                            counts,
                            settings,
                            fillings,
                            sum(cost.params for cost in costs),
                            sum(cost.macs for cost in costs),
                            self._nanoseconds(one, stage),
                        )
                    )
        return found

    def _nanoseconds(self, architecture: Architecture, stage: int) -> int:
        """Estimated time of one stage (from 0), 0 without a table."""
        if self.latency_table is None:
            return 0
        return self.latency_table.nanoseconds(
            spec for spec in architecture.block_specs if spec.stage == stage + 1
        )

    @cached_property
    def _combinations(self) -> list[tuple[int, tuple[_StageClass, ...]]]:
        """Feasible combinations of stage classes with their numbers of members."""
        stages = [self._stage_classes(i) for i in range(self.backbone.num_stages)]
        total = prod(len(classes) for classes in stages)
        if total > MAX_COMBINATIONS:
            raise InputError(
                f"a space may have at most {MAX_COMBINATIONS} combinations of block "
                f"counts and attention settings, got {total}; offer fewer choices"
            )
        shape = tuple(len(classes) for classes in stages)
        keep = np.ones(shape, dtype=bool)

        def total_of(value: Callable[[_StageClass], int], fixed: int) -> Integers:
            """The sum over stages, for every combination at once."""
            values = np.full(shape, fixed, dtype=np.int64)
            for axis, classes in enumerate(stages):
                column = np.array([value(one) for one in classes], np.int64)
                sides = [1] * len(shape)
                sides[axis] = len(classes)
                values = values + column.reshape(sides)
            return values

        def keep_within(values: Integers, low: int | None, high: int | None) -> None:
            if low is not None:
                np.logical_and(keep, values >= low, out=keep)
            if high is not None:
                np.logical_and(keep, values <= high, out=keep)

        bounds = self.constraints
        keep_within(
            total_of(lambda one: one.count("M"), 0), bounds.min_msas, bounds.max_msas
        )
        for axis, classes in enumerate(stages):
            sides = [1] * len(shape)
            sides[axis] = len(classes)
            msas = np.array([one.count("M") for one in classes], np.int64)
            keep_within(
                msas.reshape(sides),
                bounds.min_msas_per_stage,
                bounds.max_msas_per_stage,
            )
        for letter in dict.fromkeys((*bounds.min_blocks, *bounds.max_blocks)):
            keep_within(
                total_of(lambda one, letter=letter: one.count(letter), 0),  # type: ignore[misc]
                bounds.min_blocks.get(letter),
                bounds.max_blocks.get(letter),
            )
        keep_within(
            total_of(lambda one: one.params, self._fixed_cost.params),
            bounds.min_params,
            bounds.max_params,
        )
        keep_within(
            total_of(lambda one: one.macs, self._fixed_cost.macs),
            bounds.min_macs,
            bounds.max_macs,
        )
        if self.latency_table is not None and bounds.max_latency is not None:
            times = total_of(lambda one: one.nanoseconds, self.latency_table.fixed)
            keep &= times * 1e-9 <= bounds.max_latency
        found = []
        for place in np.argwhere(keep):
            members = tuple(
                stages[axis][index] for axis, index in enumerate(place.tolist())
            )
            found.append((prod(one.multiplicity for one in members), members))
        return found

    def _bounds(self) -> str:
        return ", ".join(
            f"{name}={value}"
            for name, value in vars(self.constraints).items()
            if value is not None
        )

    def _reachable(self) -> str:
        free = replace(self, constraints=Constraints())
        low, high = free.cost_range()
        times = free.latency_range()
        letters = sorted({letter for stage in self.kinds for letter in stage[1:]})
        most = {
            letter: max(sum(o.count(letter) for o in c) for _, c in free._combinations)
            for letter in letters
        }
        counts = ", ".join(
            f"0 to {number} {block_kind(letter).name}s"
            for letter, number in most.items()
        )
        return (
            f"without them it spans {counts}, "
            f"{low.params} to {high.params} params, {low.macs} to {high.macs} MACs"
            + (f", {times[0]:.3g} to {times[1]:.3g} s latency" if times else "")
        )


def _kinds_per_stage(kinds: Any, num_stages: int) -> tuple[str, ...]:
    """The letters of each stage, checked."""
    given = (kinds,) * num_stages if isinstance(kinds, str) else kinds
    if not isinstance(given, Sequence) or len(given) != num_stages:
        raise InputError(
            "space.kinds is a text of letters such as CM, or one such text for each of "
            f"the {num_stages} stages; got {kinds!r}"
        )
    for letters in given:
        if not isinstance(letters, str) or len(set(letters)) != len(letters):
            raise InputError(
                f"space.kinds names every letter once, such as CM; got {letters!r}"
            )
        if not letters.startswith("C"):
            raise InputError(
                "a stage may always keep its Conv blocks, so space.kinds begins with "
                f"C; got {letters!r}"
            )
        for letter in letters:
            block_kind(letter)
    return tuple(given)


def _attends(letters: str) -> bool:
    """Whether settings of attention matter to one of the blocks."""
    return any(block_kind(letter).uses_attention for letter in letters)


def _all_counts(kinds: str, depth: int) -> Iterator[Counts]:
    """Every way to share a stage's blocks among its kinds, ``C`` taking the rest."""
    others = kinds[1:]
    for numbers in product(range(depth + 1), repeat=len(others)):
        if sum(numbers) <= depth:
            yield tuple(zip(others, numbers, strict=True))


def _letters(kinds: str, depth: int, counts: Counts) -> str:
    """A filling with these counts."""
    replaced = "".join(letter * number for letter, number in counts)
    return replaced + "C" * (depth - len(replaced))


MAX_COMBINATIONS = 4_000_000
"""Bound on the table of stage classes, so that sizing a space takes seconds."""
