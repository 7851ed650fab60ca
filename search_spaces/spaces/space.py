"""Sets of architectures that differ in placement and, if asked, in attention settings.

A space is a product over stages. What a stage may look like is summed up in
*stage classes*: all fillings of a stage that have the same first letter, number of
MSAs and attention settings cost the same, because blocks of equal shape do. Sizes
of constrained spaces are therefore exact and uniform samples need no rejection,
however large the space is.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from math import prod
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from search_spaces.architecture import Architecture
from search_spaces.blocks.attention import Attention, Setting
from search_spaces.blocks.block_spec import BlockSpec
from search_spaces.cost import Cost, block_cost
from search_spaces.errors import InputError
from search_spaces.latency_table import LatencyTable, block_key
from search_spaces.networks.backbone import Backbone
from search_spaces.placement import Placement
from search_spaces.spaces.constraints import Constraints

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
    num_msas: int
    settings: tuple[int, ...]
    multiplicity: int
    params: int
    macs: int
    nanoseconds: int


@dataclass(frozen=True)
class SearchSpace(ABC):
    """A finite set of architectures; see :class:`FreeSpace` and its sibling.

    Attributes:
        backbone: Its depths give the number of slots of each stage.
        attention: Settings shared by all architectures.
        choices: Settings that are searched: ``heads``, ``head_dim`` or ``window``
            to a list with, for each stage, the list of values to choose from. A
            setting of a stage without any MSA is not searched.
        constraints: Bounds on MSAs, parameters, MACs and latency.
        strided_msas: Whether the strided first block of a stage may be an MSA.
        num_classes: Number of logits.
        in_channels: Channels of the image.
        image_size: Height (= width) of the image in pixels.
        latency_table: Block times of the device that ``max_latency`` is about.

    Raises:
        InputError: The parts do not fit together, or no architecture is left.
    """

    backbone: Backbone
    attention: Attention = field(default_factory=Attention)
    choices: Mapping[str, Sequence[Sequence[Setting]]] = field(default_factory=dict)
    constraints: Constraints = field(default_factory=Constraints)
    strided_msas: bool = False
    num_classes: int = 10
    in_channels: int = 3
    image_size: int = 32
    latency_table: LatencyTable | None = None

    def __post_init__(self) -> None:
        num_stages = self.backbone.num_stages
        attention = self.attention.per_stage(num_stages)
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
                "as space.latency_table; write one on that device with "
                "`nas space CONFIG --measure-latency FILE.yaml`"
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
                next(spec.window for spec in one if spec.stage == stage + 1)
                for one in specs
            ]
            if len(set(resolved)) != len(resolved):
                raise InputError(
                    f"choices of window must differ; in stage {stage + 1} "
                    f"{list(self.choices['window'][stage])} give windows {resolved}"
                )

    # --- what the two kinds decide -------------------------------------------

    @abstractmethod
    def _fillings(self, stage: int, first: str, num_msas: int) -> int:
        """How many fillings a stage (from 0) has with this first letter and count."""

    @abstractmethod
    def _fill(self, stage: int, first: str, num_msas: int, index: int) -> str:
        """The filling number ``index`` among those counted by :meth:`_fillings`."""

    @abstractmethod
    def _suggest_placement(self, trial: SuggestingTrial) -> Placement:
        """Ask the trial for a placement."""

    @abstractmethod
    def _placement_parameters(self, placement: Placement) -> dict[str, Any]:
        """The answers that make :meth:`_suggest_placement` give this placement."""

    @abstractmethod
    def _moves(self, placement: Placement) -> Iterator[Placement]:
        """Placements one step away, constraints not considered."""

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
            architecture.placement.num_msas,
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
        return self.latency_table.seconds(
            architecture.block_specs,
            bottleneck=architecture.backbone.block == "bottleneck",
        )

    def distinct_blocks(self) -> list[BlockSpec]:
        """One block of each shape that some architecture or baseline has."""
        found: dict[str, BlockSpec] = {}
        bottleneck = self.backbone.block == "bottleneck"
        for stage in range(self.backbone.num_stages):
            counts = [len(values[stage]) for values in self.choices.values()]
            for indices in product(*map(range, counts)):
                settings = self._named_settings(stage, indices)
                for fill in (Placement.all_conv, Placement.all_msa):
                    one = self._build(fill(self.backbone.depths), settings)
                    for spec in one.block_specs:
                        if spec.stage == stage + 1:
                            found[block_key(spec, bottleneck=bottleneck)] = spec
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
            stages.append(self._fill(stage, one.first, one.num_msas, place))
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
                    self._fill(stage, one.first, one.num_msas, place)
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
        for stage, count in enumerate(placement.msa_counts):
            for what, per_stage in self.choices.items():
                if count and len(per_stage[stage]) > 1:
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
                architecture.placement.msa_counts[stage]
                and len(self.choices[what][stage]) > 1
            ):
                found[f"{what}_s{stage + 1}"] = value
        return found

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Architectures one step away: one block, one count or one setting changed.

        Args:
            architecture: One of the space's.

        Returns:
            Those that keep to the constraints, each once.
        """
        settings = self._settings_of(architecture)
        placement = architecture.placement
        found = [self._build(near, settings) for near in self._moves(placement)]
        for what, per_stage in self.choices.items():
            for stage, values in enumerate(per_stage):
                found += [
                    self._build(placement, {**settings, (what, stage): value})
                    for value in values
                    if placement.msa_counts[stage]
                ]
        unique = {one.id: one for one in found if one != architecture}
        return [one for one in unique.values() if not self.is_infeasible(one)]

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
        """Whether the space lets a slot be an MSA; stage and block count from 1."""
        strided = block == 1 and self.backbone.strides[stage - 1] > 1
        return self.strided_msas or not strided

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
                if not architecture.placement.msa_counts[stage]:
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
        bottleneck = self.backbone.block == "bottleneck"
        blocks = [block_cost(spec, bottleneck=bottleneck) for spec in one.block_specs]
        return Cost(
            total.params - sum(block.params for block in blocks),
            total.macs - sum(block.macs for block in blocks),
        )

    def _stage_classes(self, stage: int) -> list[_StageClass]:
        depth = self.backbone.depths[stage]
        bottleneck = self.backbone.block == "bottleneck"
        option_counts = [len(values[stage]) for values in self.choices.values()]
        found = []
        for first in "CM":
            for num_msas in range(depth + 1):
                rest = num_msas - (first == "M")
                fillings = self._fillings(stage, first, num_msas)
                if not fillings:
                    continue
                # A stage without an MSA has no settings to choose.
                indices = product(*map(range, option_counts)) if num_msas else [()]
                for settings in indices:
                    letters = first + "M" * rest + "C" * (depth - 1 - rest)
                    stages = ["C" * d for d in self.backbone.depths]
                    stages[stage] = letters
                    one = self._build(
                        Placement(tuple(stages)), self._named_settings(stage, settings)
                    )
                    costs = [
                        block_cost(spec, bottleneck=bottleneck)
                        for spec in one.block_specs
                        if spec.stage == stage + 1
                    ]
                    found.append(
                        _StageClass(
                            first,
                            num_msas,
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
            (spec for spec in architecture.block_specs if spec.stage == stage + 1),
            bottleneck=self.backbone.block == "bottleneck",
        )

    @cached_property
    def _combinations(self) -> list[tuple[int, tuple[_StageClass, ...]]]:
        """Feasible combinations of stage classes with their numbers of members."""
        stages = [self._stage_classes(i) for i in range(self.backbone.num_stages)]
        total = prod(len(classes) for classes in stages)
        if total > MAX_COMBINATIONS:
            raise InputError(
                f"a space may have at most {MAX_COMBINATIONS} combinations of MSA "
                f"counts and attention settings, got {total}; offer fewer choices"
            )
        shape = tuple(len(classes) for classes in stages)
        keep = np.ones(shape, dtype=bool)
        for what, fixed in (
            ("num_msas", 0),
            ("params", self._fixed_cost.params),
            ("macs", self._fixed_cost.macs),
            ("nanoseconds", self.latency_table.fixed if self.latency_table else 0),
        ):
            values = np.full(shape, fixed, dtype=np.int64)
            for axis, classes in enumerate(stages):
                column = np.array([getattr(one, what) for one in classes], np.int64)
                sides = [1] * len(shape)
                sides[axis] = len(classes)
                values = values + column.reshape(sides)
            if what == "nanoseconds":
                if self.constraints.max_latency is not None:
                    keep &= values * 1e-9 <= self.constraints.max_latency
                continue
            name = "msas" if what == "num_msas" else what
            low = getattr(self.constraints, f"min_{name}")
            high = getattr(self.constraints, f"max_{name}")
            if low is not None:
                keep &= values >= low
            if high is not None:
                keep &= values <= high
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
        most = max(sum(o.num_msas for o in c) for _, c in free._combinations)
        return (
            f"without them it spans 0 to {most} MSAs, "
            f"{low.params} to {high.params} params, {low.macs} to {high.macs} MACs"
            + (f", {times[0]:.3g} to {times[1]:.3g} s latency" if times else "")
        )


MAX_COMBINATIONS = 4_000_000
"""Bound on the table of stage classes, so that sizing a space takes seconds."""
