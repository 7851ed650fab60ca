"""TPE whose next proposal does not get slower with every trial.

Optuna's TPE looks at every trial again for each proposal: at 8,000 trials a second
or more. This one looks at the trials nobody dominates and the latest thousand. Its
model has at most 25 "good" trials anyway (Optuna's ``default_gamma``); what is
dropped are old trials that others dominate. Up to a thousand trials it is
Optuna's sampler, draw for draw.
"""

from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

MEMORY = 1000
"""Latest trials that TPE looks at; our choice, see benchmarks/README.md."""


class BoundedTPESampler(TPESampler):
    """``TPESampler`` with a bounded memory; takes the same arguments."""

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that all remembered trials have in common."""
        remembered: Any = _Remembered(study, self._front())
        return super().infer_relative_search_space(remembered, trial)

    def _sample(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        remembered: Any = _Remembered(study, self._front())
        return super()._sample(remembered, trial, search_space)

    def _front(self) -> "_Front":
        # Made late: Optuna's constructor has no place for it, and copies of a
        # sampler must not share one.
        if "_nas_front" not in self.__dict__:
            self.__dict__["_nas_front"] = _Front()
        front: _Front = self.__dict__["_nas_front"]
        return front


class _Front:
    """The complete trials that no other complete trial dominates, kept up to date."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self.members: dict[int, tuple[FrozenTrial, tuple[float, ...]]] = {}

    def update(self, trials: list[FrozenTrial], signs: tuple[float, ...]) -> None:
        for trial in trials:
            if trial.number in self._seen or trial.state != TrialState.COMPLETE:
                continue
            self._seen.add(trial.number)
            losses = tuple(s * v for s, v in zip(signs, trial.values, strict=True))
            others = self.members.items()
            if any(_no_worse(known, losses) for _, (_, known) in others):
                continue
            self.members = {
                number: member
                for number, member in others
                if not _no_worse(losses, member[1])
            }
            self.members[trial.number] = (trial, losses)


def _no_worse(left: tuple[float, ...], right: tuple[float, ...]) -> bool:
    return all(a <= b for a, b in zip(left, right, strict=True))


class _Remembered:
    """A study that shows a sampler only what it is to remember."""

    def __init__(self, study: optuna.Study, front: _Front) -> None:
        self._study = study
        self._front = front

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
        use_cache: bool = False,
    ) -> list[FrozenTrial]:
        trials = self._study._get_trials(deepcopy, states, use_cache)
        if len(trials) <= MEMORY:
            return trials
        signs = tuple(
            -1.0 if d == optuna.study.StudyDirection.MAXIMIZE else 1.0
            for d in self._study.directions
        )
        self._front.update(trials, signs)
        latest = trials[-MEMORY:]
        first = latest[0].number
        members: Mapping[int, Any] = self._front.members
        best = [members[n][0] for n in sorted(members) if n < first]
        return best + latest
