"""How large an end-of-stage effect a design can find, before it is run.

In units of the noise: the standard deviation between trials that the slots do not
explain. A pilot of a few seeds of one placement gives its size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

from nas.rule.contrasts import SlotLayout, end_of_stage
from nas.rule.slot_regression import SlotRegression, t_quantile
from search_spaces.errors import InputError
from search_spaces.placement import Placement

if TYPE_CHECKING:
    from nas.config import SearchConfig

POWER = 0.8
"""The usual chance to find an effect that is there (Cohen 1988)."""

ALPHA = 0.05
"""Two-sided level of the 95% intervals."""

EFFECTS = (0.25, 0.5, 1.0)
"""Effects in noise SDs for which the number of trials is told (our choice)."""


def power_of(effect: float, standard_error: float, df: float) -> float:
    """Chance that the whole 95% interval lies on the effect's side of zero.

    Args:
        effect: True effect.
        standard_error: Standard error of its estimate.
        df: Degrees of freedom of the standard error.

    Returns:
        A probability, by the noncentral t distribution.
    """
    critical = t_quantile(1 - ALPHA / 2, df)
    return 1 - float(special.nctdtr(df, abs(effect) / standard_error, critical))


def detectable(standard_error: float, df: float, power: float = POWER) -> float:
    """The smallest true effect that is found with the given power.

    Args:
        standard_error: Standard error of the estimate.
        df: Degrees of freedom of the standard error.
        power: Chance to find it.

    Returns:
        An effect in the unit of the standard error; 0 if that is 0.
    """
    if standard_error == 0:
        return 0.0

    def missing(ratio: float) -> float:
        return power_of(ratio, 1.0, df) - power

    upper = 10.0
    while missing(upper) < 0:
        upper *= 4
    return float(optimize.brentq(missing, 0.0, upper)) * standard_error


def power_of_search(config: "SearchConfig") -> "DesignPower | None":
    """What a search that measures will be able to tell, known before it starts.

    Each placement counts once: further seeds of it tell how large the noise is, and
    make the power a little better than is said here.

    Args:
        config: The search.

    Returns:
        The power of its design; ``None`` if its sampler looks at results, or if the
        space cannot be made without the images.
    """
    from nas.sampling.balanced_designs import factorial_architectures, uniform_design

    wanted = config.search
    designs = {"uniform": uniform_design, "factorial": factorial_architectures}
    if wanted.sampler not in designs:
        return None
    try:
        space = config.space.make(10, 3, config.data.image_size or 32)
    except InputError:
        return None
    num_placements = wanted.trials // wanted.replicates
    if wanted.replicate_first is not None:
        first = min(wanted.replicate_first, num_placements)
        num_placements = wanted.trials - first * (wanted.replicates - 1)
    design = designs[wanted.sampler](space, config.seed)
    placements = [one.placement for one in islice(design, num_placements)]
    return DesignPower.of(placements) if placements else None


@dataclass(frozen=True)
class DesignPower:
    """What a design can find.

    Attributes:
        num_trials: Trials of the design.
        num_unknowns: Effects that its regression estimates, the mean included.
        standard_error: Of the end-of-stage contrast, in noise SDs; ``None`` if the
            design cannot estimate it.
        reason: Why it cannot, or ``""``.
    """

    num_trials: int
    num_unknowns: int
    standard_error: float | None
    reason: str = ""

    @classmethod
    def of(cls, placements: Sequence[Placement]) -> "DesignPower":
        """Compute the power of a design.

        Args:
            placements: The placements to train, once for each training run.

        Returns:
            Its power, for noise of the same size everywhere.
        """
        bits = np.array(
            [[c == "M" for c in p.letters] for p in placements], dtype=float
        )
        regression = SlotRegression(bits, np.zeros(len(bits)))
        contrast = end_of_stage(regression, SlotLayout(placements[0].depths))
        if contrast.weights is None:
            return cls(len(bits), regression.rank, None, contrast.reason)
        if regression.residual_df < 1:
            reason = f"{len(bits)} trials for {regression.rank} unknowns"
            return cls(len(bits), regression.rank, None, reason)
        error = regression.error_per_noise(contrast.weights)
        return cls(len(bits), regression.rank, error)

    @property
    def detectable(self) -> float | None:
        """End-of-stage effect in noise SDs that is found with 80% power."""
        if self.standard_error is None:
            return None
        return detectable(self.standard_error, self.num_trials - self.num_unknowns)

    def trials_for(self, effect: float) -> int | None:
        """Trials of such a design that find an effect with 80% power.

        Args:
            effect: End-of-stage effect in noise SDs.

        Returns:
            A number of trials; ``None`` if the design cannot estimate the effect.
        """
        if self.standard_error is None:
            return None
        per_trial = self.standard_error * self.num_trials**0.5

        def enough(num_trials: int) -> bool:
            df = num_trials - self.num_unknowns
            return power_of(effect, per_trial / num_trials**0.5, df) >= POWER

        high = self.num_unknowns + 1
        while not enough(high):
            high *= 2
        low = self.num_unknowns
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if enough(middle) else (middle, high)
        return high

    def __str__(self) -> str:
        if self.detectable is None:
            return f"this design cannot measure the end of a stage: {self.reason}"
        needed = ", ".join(
            f"{self.trials_for(effect)} for {effect:g}" for effect in EFFECTS
        )
        return (
            f"{self.num_trials} trials find an end-of-stage effect of "
            f"{self.detectable:.2g} noise SDs with {POWER:.0%} power; trials needed by "
            f"effect in noise SDs: {needed}"
        )
