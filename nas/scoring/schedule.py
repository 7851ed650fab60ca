"""Learning rate of each step."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then down to 0, step by step.

    Attributes:
        peak: Largest learning rate.
        warmup_steps: Steps of the warm-up.
        total_steps: Steps of the whole run.
        decay: ``cosine`` (half a cosine) or ``linear``. Linear up and linear down is
            the triangle of hlb-CIFAR10 and airbench (Jordan, 2024, arXiv 2404.00498).
        first_step: ``moves`` (the warm-up's first step has ``peak / warmup_steps``,
            its last one the peak) or ``zero`` (the first step has rate 0, the first
            after the warm-up the peak: ops/schedulers.py of the reference).
    """

    peak: float
    warmup_steps: int
    total_steps: int
    decay: Literal["cosine", "linear"] = "cosine"
    first_step: Literal["moves", "zero"] = "moves"

    def __call__(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup_steps:
            done = step + (self.first_step == "moves")
            return self.peak * done / self.warmup_steps
        rest = max(1, self.total_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / rest)
        if self.decay == "linear":
            return self.peak * (1 - progress)
        return self.peak * 0.5 * (1 + math.cos(math.pi * progress))
