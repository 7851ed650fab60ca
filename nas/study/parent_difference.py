"""Which networks can be told from the all-Conv parent, and which cannot.

A front shows the best of many, so some of its points are there by luck. Each network is
compared with the parent by the interval of their difference, as wide as it must be for
all networks of the study together (Bonferroni): picking the best of a hundred is no way
round it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

from scipy import special

from nas.ledger.trial import Trial, TrialState
from nas.study.reliability import reliability

CONFIDENCE = 0.95
"""Chance that no interval of the study misses (95% as everywhere else)."""

MIN_SPARE = 2
"""Fewest repeated trainings beyond the first of each network from which the noise of
training is taken (our choice: with one, the t quantile of a hundred networks is above
a thousand, and nothing could ever be told)."""

Network = tuple[str, int]
"""Architecture id (or placement) and epochs: what is one network with many seeds."""


@dataclass(frozen=True)
class ParentDifference:
    """A network against the all-Conv parent in one metric.

    Attributes:
        difference: Mean over the network's trainings minus that over the parent's.
        half_width: Half of the interval of the difference.
    """

    difference: float
    half_width: float

    @property
    def can_be_told(self) -> bool:
        """Whether the interval leaves zero out."""
        return abs(self.difference) > self.half_width


@dataclass(frozen=True)
class ParentComparison:
    """What is needed to compare any network of a study with the all-Conv parent.

    Attributes:
        metric: The metric.
        means: Mean of each network, the parent included.
        counts: Trainings of each network.
        errors: Standard error of measuring a network's mean, where that is known.
        parent: The parent.
        noise: Standard deviation between trainings of one network; ``None`` where too
            few were repeated. Then only the errors of measuring are left, and the
            intervals are too short by the luck of training.
        quantile: Standard errors to either side of a difference.
        num_compared: Networks that are compared with the parent.
    """

    metric: str
    means: dict[Network, float]
    counts: dict[Network, int]
    errors: dict[Network, float]
    parent: Network
    noise: float | None
    quantile: float
    num_compared: int

    @classmethod
    def of(cls, trials: Iterable[Trial], metric: str) -> "ParentComparison | None":
        """Collect what the trained trials say.

        Args:
            trials: Any trials; complete ones count.
            metric: The metric.

        Returns:
            The comparison; ``None`` if no parent was trained, nothing else was, or
            neither the noise of training nor the error of measuring is known.
        """
        trained = [
            t for t in trials if t.state == TrialState.COMPLETE and metric in t.metrics
        ]
        parent = parent_network(trained)
        if parent is None:
            return None
        values: dict[Network, list[float]] = {}
        squares: dict[Network, list[float]] = {}
        for trial in trained:
            name = network(trial)
            values.setdefault(name, []).append(trial.metrics[metric])
            error = trial.standard_errors.get(metric)
            squares.setdefault(name, []).append(inf if error is None else error**2)
        counts = {name: len(found) for name, found in values.items()}
        errors = {
            # All seeds are measured on the same images: no 1 / root n here.
            name: sqrt(sum(found) / len(found))
            for name, found in squares.items()
            if sum(found) < inf
        }
        others = len(values) - 1
        noise, spare = _noise(trained, metric)
        if not others or (noise is None and parent not in errors):
            return None
        tail = (1 - CONFIDENCE) / (2 * others)
        quantile = (
            -float(special.ndtri(tail))
            if noise is None
            else float(special.stdtrit(spare, 1 - tail))
        )
        means = {name: sum(found) / len(found) for name, found in values.items()}
        return cls(metric, means, counts, errors, parent, noise, quantile, others)

    def difference(self, trial: Trial) -> ParentDifference | None:
        """Compare the network of a trial; ``None`` for the parent or without an error.

        Args:
            trial: A trained trial.
        """
        name = network(trial)
        if name == self.parent or name not in self.means:
            return None
        error = self._standard_error(name)
        if error is None:
            return None
        difference = self.means[name] - self.means[self.parent]
        return ParentDifference(difference, self.quantile * error)

    def _standard_error(self, name: Network) -> float | None:
        if self.noise is not None:
            counts = (self.counts[name], self.counts[self.parent])
            return self.noise * sqrt(sum(1 / count for count in counts))
        if name not in self.errors:
            return None
        # Both see the same images, so this is rather too wide than too short.
        return sqrt(self.errors[name] ** 2 + self.errors[self.parent] ** 2)

    def sentence(self) -> str:
        """What the marks mean."""
        source = (
            "from the spread between seeds"
            if self.noise is not None
            else "from errors of measuring alone; the luck of training comes on top"
        )
        return (
            f"cannot be told from the all-Conv parent by {self.metric}: the interval "
            f"of the difference holds zero ({CONFIDENCE:.0%} for all "
            f"{self.num_compared} networks together, {source})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, the networks aside."""
        return {
            "mean": self.means[self.parent],
            "count": self.counts[self.parent],
            "error": self.errors.get(self.parent),
            "noise": self.noise,
            "quantile": self.quantile,
            "num_compared": self.num_compared,
            "sentence": self.sentence(),
        }


def network(trial: Trial) -> Network:
    """What a trial is a training of."""
    return trial.architecture_id or trial.placement, trial.epochs


def parent_network(trials: Sequence[Trial]) -> Network | None:
    """The all-Conv network with the largest budget.

    Args:
        trials: Complete trials.

    Returns:
        That of the baseline ``all_conv``; else the only network whose blocks are all
        Conv; else ``None``.
    """
    named = [t for t in trials if t.baseline == "all_conv"]
    plain = named or [t for t in trials if set(t.placement) <= {"C", "-"}]
    if not plain:
        return None
    most = max(trial.epochs for trial in plain)
    found = {network(trial) for trial in plain if trial.epochs == most}
    return found.pop() if len(found) == 1 else None


def _noise(trials: Sequence[Trial], metric: str) -> tuple[float | None, int]:
    """Standard deviation between trainings of one network, and its freedom."""
    networks = [network(trial) for trial in trials]
    if len(set(networks)) == len(networks):
        return None, 0
    found = reliability(networks, [t.metrics[metric] for t in trials])
    if found is None or found.noise <= 0:
        return None, 0
    spare = found.num_trainings - found.num_placements
    return (found.noise, spare) if spare >= MIN_SPARE else (None, 0)
