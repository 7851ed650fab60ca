"""The paper's own procedure as a search: from the end, alternately, while it helps.

Park & Kim (ICLR 2022, section 4.1): replace Conv blocks by MSAs alternately from the
end of the network; if the added MSA does not improve the accuracy, go to the end of an
earlier stage instead. On CIFAR-100 this led to m = (0, 1, 1, 2) MSAs per stage. The
paper shows one run per step, with differences as small as its noise; here a step is
kept only if it is better beyond the noise between seeds, where there are several.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from scipy.special import stdtrit

from nas.ledger.trial import Objective, Trial, TrialState
from nas.sampling.design import WAIT, Design, Wait
from search_spaces.architecture import Architecture
from search_spaces.placement import Placement
from search_spaces.spaces.space import SearchSpace

STEP_LEVEL = 0.05
"""One-sided level of a step's t test (our choice: the paper tests nothing)."""


@dataclass(frozen=True)
class Step:
    """One placement of the build-up, and what was decided.

    Attributes:
        placement: The placement that was tried.
        kept: Whether it is the base of the next step.
        mean: Mean metric of its runs, ``None`` if none succeeded.
        gain: Improvement over the base, positive is better; ``None`` for the parent.
        needed: The gain had to exceed this.
    """

    placement: Placement
    kept: bool
    mean: float | None
    gain: float | None = None
    needed: float = 0.0


class BuildUp:
    """The state machine: ask for a placement, tell its values, until there is none.

    Args:
        depths: Blocks of each stage.
        maximize: Whether larger values are better.
        level: One-sided level at which a step must be better. With one seed a step the
            noise is unknown, and any improvement counts, as in the paper.
        allowed: Whether a placement may be tried; one that may not counts as a stage
            that is full.

    Attributes:
        steps: What was tried, in order, the all-Conv parent first.
    """

    def __init__(
        self,
        depths: Sequence[int],
        maximize: bool = True,
        level: float = STEP_LEVEL,
        allowed: Callable[[Placement], bool] = lambda placement: True,
    ) -> None:
        self._depths = tuple(depths)
        self._sign = 1 if maximize else -1
        self._level = level
        self._allowed = allowed
        self._counts = [0] * len(self._depths)
        self._stage = len(self._depths) - 1
        self._base: list[float] = []
        self._squares, self._df = 0.0, 0
        self.steps: list[Step] = []

    @property
    def best(self) -> Placement:
        """The last placement that was kept."""
        return Placement.alternating(self._depths, self._counts)

    def ask(self) -> Placement | None:
        """The placement to train next.

        Returns:
            A placement, the same until it is told about; ``None`` at the end.
        """
        if not self.steps:
            return Placement.all_conv(self._depths)
        while self._stage >= 0:
            if self._counts[self._stage] < self._depths[self._stage] // 2:
                candidate = Placement.alternating(self._depths, self._with_one_more())
                if self._allowed(candidate):
                    return candidate
            self._stage -= 1
        return None

    def _with_one_more(self) -> list[int]:
        counts = list(self._counts)
        counts[self._stage] += 1
        return counts

    def tell(self, values: Sequence[float]) -> Step:
        """Decide about the placement that was asked for.

        Args:
            values: Metric of each of its runs (seeds) that succeeded.

        Returns:
            The decision.

        Raises:
            RuntimeError: Nothing was asked for, the build-up is at its end.
        """
        placement = self.ask()
        if placement is None:
            raise RuntimeError("the build-up is at its end, there is nothing to tell")
        mean = fmean(values) if values else None
        if mean is not None:
            self._squares += sum((value - mean) ** 2 for value in values)
            self._df += len(values) - 1
        if not self.steps:
            step = Step(placement, True, mean)
            self._base = list(values)
        else:
            step = self._decide(placement, values, mean)
            if step.kept:
                self._counts = self._with_one_more()
                self._base = list(values)
            else:
                self._stage -= 1
        self.steps.append(step)
        return step

    def _decide(
        self, placement: Placement, values: Sequence[float], mean: float | None
    ) -> Step:
        if mean is None:
            return Step(placement, False, None)
        if not self._base:  # no run of the parent succeeded: anything is better
            return Step(placement, True, mean)
        gain = self._sign * (mean - fmean(self._base))
        needed = 0.0
        if self._df > 0:
            spread = (1 / len(values) + 1 / len(self._base)) * self._squares / self._df
            needed = float(stdtrit(self._df, 1 - self._level)) * spread**0.5
        return Step(placement, gain > needed, mean, gain, needed)


def follow(
    machine: BuildUp, values: Mapping[Placement, Sequence[float]]
) -> Iterator[Step]:
    """Let the machine run over known results until one is missing.

    Args:
        machine: A build-up.
        values: Metric of each run, by placement.

    Yields:
        The steps that the results decide.
    """
    while (placement := machine.ask()) is not None and placement in values:
        yield machine.tell(values[placement])


class BuildUpDesign(Design):
    """The build-up as a sampler: it waits for all seeds of a step.

    Args:
        space: Gives the depths and what may be tried.
        objective: The metric that a step must improve.
        level: One-sided level at which it must.
    """

    def __init__(
        self, space: SearchSpace, objective: Objective, level: float = STEP_LEVEL
    ) -> None:
        self._space = space
        self._objective = objective
        self._level = level

    def _may_try(self, placement: Placement) -> bool:
        return not self._space.is_infeasible(self._space.architecture(placement))

    def propose(self, trials: Sequence[Trial]) -> Architecture | Wait | None:
        """Replay the build-up over the trials; its first gap is what to train."""
        machine = BuildUp(
            self._space.backbone.depths,
            self._objective.maximize,
            self._level,
            self._may_try,
        )
        runs: dict[str, list[Trial]] = {}
        for trial in trials:
            runs.setdefault(trial.architecture_id, []).append(trial)
        while (placement := machine.ask()) is not None:
            architecture = self._space.architecture(placement)
            mine = runs.get(architecture.id)
            if mine is None:
                return architecture
            if any(t.state in (TrialState.RUNNING, TrialState.WAITING) for t in mine):
                return WAIT
            metric = self._objective.metric
            machine.tell(
                [
                    trial.metrics[metric]
                    for trial in mine
                    if trial.state == TrialState.COMPLETE and metric in trial.metrics
                ]
            )
        return None
