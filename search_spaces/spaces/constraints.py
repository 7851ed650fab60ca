"""Bounds that an architecture must keep to; checked before anything is trained."""

from dataclasses import dataclass

from search_spaces.cost import Cost
from search_spaces.errors import InputError


@dataclass(frozen=True)
class Constraints:
    """What an architecture of the space must keep to; checked before training.

    Attributes:
        min_msas: Least number of MSA blocks.
        max_msas: Largest number of MSA blocks.
        min_params: Least number of parameters.
        max_params: Largest number of parameters.
        min_macs: Least multiply-accumulates of one image.
        max_macs: Largest multiply-accumulates of one image.
        max_latency: Largest estimated seconds of a forward pass of a batch, by the
            latency table of the space.

    Raises:
        InputError: A bound is negative or a lower bound exceeds its upper bound.
    """

    min_msas: int | None = None
    max_msas: int | None = None
    min_params: int | None = None
    max_params: int | None = None
    min_macs: int | None = None
    max_macs: int | None = None
    max_latency: float | None = None

    def __post_init__(self) -> None:
        for what in ("msas", "params", "macs"):
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
        self, num_msas: int, cost: Cost, latency: float | None = None
    ) -> dict[str, float]:
        """How far each bound is missed; a bound that is kept is <= 0.

        Args:
            num_msas: MSA blocks of an architecture.
            cost: Its parameters and MACs.
            latency: Its estimated seconds; needed if ``max_latency`` is set.

        Returns:
            A value for each bound that is set, e.g. ``{"max_params": -1200.0}``.
        """
        found = {}
        values = {"msas": num_msas, "params": cost.params, "macs": cost.macs}
        for what, value in values.items():
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None:
                found[f"min_{what}"] = float(low - value)
            if high is not None:
                found[f"max_{what}"] = float(value - high)
        if self.max_latency is not None and latency is not None:
            found["max_latency"] = latency - self.max_latency
        return found
