"""Bounds that an architecture must keep to; checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search_spaces.block_cost import Cost
from search_spaces.errors import InputError
from search_spaces.kinds.block_kinds import block_kind


@dataclass(frozen=True)
class Constraints:
    """What an architecture of the space must keep to; checked before training.

    Attributes:
        min_msas: Least number of MSA blocks.
        max_msas: Largest number of MSA blocks.
        min_msas_per_stage: Least number of MSA blocks in every stage.
        max_msas_per_stage: Largest number of MSA blocks in every stage.
        min_params: Least number of parameters.
        max_params: Largest number of parameters.
        min_macs: Least multiply-accumulates of one image.
        max_macs: Largest multiply-accumulates of one image.
        max_latency: Largest estimated seconds of a forward pass of a batch, by the
            latency table of the space.
        min_blocks: Least number of blocks of a kind, by letter.
        max_blocks: Largest number of blocks of a kind, by letter.

    Raises:
        InputError: A bound is negative or a lower bound exceeds its upper bound.
    """

    min_msas: int | None = None
    max_msas: int | None = None
    min_msas_per_stage: int | None = None
    max_msas_per_stage: int | None = None
    min_params: int | None = None
    max_params: int | None = None
    min_macs: int | None = None
    max_macs: int | None = None
    max_latency: float | None = None
    min_blocks: Mapping[str, int] = field(default_factory=dict)
    max_blocks: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("min_blocks", "max_blocks"):
            bounds = getattr(self, name)
            if not isinstance(bounds, Mapping):
                raise InputError(
                    f"constraint {name} is a mapping of letters to whole numbers, "
                    f"got {bounds!r}"
                )
            for letter, value in bounds.items():
                block_kind(letter)
                if type(value) is not int or value < 0:
                    raise InputError(
                        f"constraint {name} of {letter} is a whole number >= 0, "
                        f"got {value!r}"
                    )
        for letter, upper in self.max_blocks.items():
            if self.min_blocks.get(letter, 0) > upper:
                raise InputError(
                    f"min_blocks <= max_blocks must hold, got "
                    f"{self.min_blocks[letter]} and {upper} for {letter}"
                )
        for what in ("msas", "msas_per_stage", "params", "macs"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            for name, value in ((f"min_{what}", low), (f"max_{what}", high)):
                if value is not None and (type(value) is not int or value < 0):
                    raise InputError(
                        f"constraint {name} is a whole number >= 0, got {value!r}"
                    )
            if low is not None and high is not None and low > high:
                raise InputError(
                    f"min_{what} <= max_{what} must hold, got {low} and {high}"
                )
        most = self.max_latency
        if most is not None and (type(most) not in (int, float) or not most > 0):
            raise InputError(
                f"constraint max_latency is a number of seconds > 0, got {most!r}"
            )

    def violations(
        self, stages: Sequence[str], cost: Cost, latency: float | None = None
    ) -> dict[str, float]:
        """How far each bound is missed; a bound that is kept is <= 0.

        Args:
            stages: The letters of an architecture's blocks, stage by stage.
            cost: Its parameters and MACs.
            latency: Its estimated seconds; needed if ``max_latency`` is set.

        Returns:
            A value for each bound that is set, e.g. ``{"max_params": -1200.0}``.
        """
        found = {}
        letters = "".join(stages)
        per_stage = [stage.count("M") for stage in stages]
        if self.min_msas_per_stage is not None:
            missing = self.min_msas_per_stage - min(per_stage)
            found["min_msas_per_stage"] = float(missing)
        if self.max_msas_per_stage is not None:
            beyond = max(per_stage) - self.max_msas_per_stage
            found["max_msas_per_stage"] = float(beyond)
        values = {"msas": letters.count("M"), "params": cost.params, "macs": cost.macs}
        for what, value in values.items():
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None:
                found[f"min_{what}"] = float(low - value)
            if high is not None:
                found[f"max_{what}"] = float(value - high)
        if self.max_latency is not None and latency is not None:
            found["max_latency"] = latency - self.max_latency
        for letter, low in self.min_blocks.items():
            found[f"min_blocks_{letter}"] = float(low - letters.count(letter))
        for letter, high in self.max_blocks.items():
            found[f"max_blocks_{letter}"] = float(letters.count(letter) - high)
        return found
