"""Optuna sampler: Thompson sampling on a Bayesian linear model of the choices.

Works with any Optuna study whose trials choose among categories (``C`` or ``M`` in a
slot) or small whole numbers, and with one sampler for several threads (``n_jobs``):

    study = optuna.create_study(sampler=LinearSampler(seed=0))

Parameters named ``s1b2`` are slots (stage 1, block 2), as the spaces of this project
name them; any others are slots of one stage, in alphabetical order with numbers by
their size (``slot_2`` before ``slot_10``). Parameters that only some trials have, real
numbers and long lists of choices are drawn at random.
"""

import re
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from nas.prediction.slot_space import SlotSpace
from nas.sampling.thompson import ThompsonProposer

MAX_CHOICES = 64
"""Parameters with more values than this are drawn at random (our choice)."""

_FIRST_LETTER = 0x4E00
"""Choices get letters of their own, from a range with room for thousands."""


class LinearSampler(BaseSampler):
    """Thompson sampling on slots, counts, neighbours and pairs of the choices.

    Several objectives and constraints (``trial.set_constraint``) are allowed. Trials
    whose user attribute ``duplicate_of`` is set are copies and teach nothing.

    Args:
        n_startup_trials: Trials to spread over the space before the model decides.
            Our choice: as few as a model needs.
        temperature: Factor on the spread of the posterior draws; 1 is Thompson
            sampling, less looks around less. Our choice: 0.5, between 1
            and the 0.25 that was slower where the metric has a plateau.
        avoid_repeats: Whether a combination of choices that was tried, or is being
            tried, is left alone as long as there are others.
        seed: Of all draws.
    """

    def __init__(
        self,
        *,
        n_startup_trials: int = 3,
        temperature: float = 0.5,
        avoid_repeats: bool = True,
        seed: int | None = None,
    ) -> None:
        if n_startup_trials < 1:
            raise ValueError(f"n_startup_trials must be at least 1: {n_startup_trials}")
        if not temperature >= 0:
            raise ValueError(f"temperature must be at least 0, got {temperature}")
        self._num_startup = n_startup_trials
        self._temperature = temperature
        self._avoid_repeats = avoid_repeats
        self._rng = np.random.default_rng(seed)
        self._random = RandomSampler(seed=int(self._rng.integers(2**31)))
        self._lock = threading.Lock()
        self._start(None)

    def _start(self, study: optuna.Study | None) -> None:
        """Forget what another study taught."""
        self._study_name = None if study is None else study.study_name
        self._intersection = IntersectionSearchSpace(include_pruned=True)
        self._learned: _Learned | None = None

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: everything but the lock."""
        return {name: one for name, one in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what was pickled."""
        vars(self).update(state, _lock=threading.Lock())

    def reseed_rng(self) -> None:
        """Take other random numbers, for a copy of this sampler."""
        self._rng = np.random.default_rng()
        self._random.reseed_rng()
        self._learned = None

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """The parameters that all trials have and that are choices."""
        with self._lock:
            if study.study_name != self._study_name:
                self._start(study)
            found = self._intersection.calculate(study)
        return {
            name: one
            for name, one in found.items()
            if not one.single() and _is_short(one)
        }

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        """Choose all of them together."""
        if not search_space:
            return {}
        with self._lock:  # threads of one study share what was learned
            known = self._learned
            if known is None or not known.serves(search_space):
                known = self._learned = _Learned(study, search_space, self)
            return known.propose(study, trial)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Draw a parameter that the model does not know."""
        return self._random.sample_independent(
            study, trial, param_name, param_distribution
        )


class _Learned:
    """What was learned from the trials of one study with one search space."""

    def __init__(
        self,
        study: optuna.Study,
        search_space: dict[str, BaseDistribution],
        sampler: LinearSampler,
    ) -> None:
        self._search_space = search_space
        self._slots = _Slots(search_space)
        self._signs = np.array(
            [-1.0 if d == StudyDirection.MINIMIZE else 1.0 for d in study.directions]
        )
        self._proposer = ThompsonProposer(
            self._slots.space,
            len(self._signs),
            sampler._rng,
            num_startup=sampler._num_startup,
            temperature=sampler._temperature,
            avoid_repeats=sampler._avoid_repeats,
        )
        self._open: dict[int, npt.NDArray[np.int64] | None] = {}
        self._read = 0

    def serves(self, search_space: dict[str, BaseDistribution]) -> bool:
        """Whether the search space is still the same."""
        return search_space == self._search_space

    def propose(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        """Catch up with the study, then choose."""
        trials = study._get_trials(deepcopy=False, use_cache=True)
        for one in trials[self._read :]:
            if one.number != trial.number:
                self._open[one.number] = None
        self._read = len(trials)
        for number in list(self._open):
            self._catch_up(trials[number])
        code = self._proposer.propose()
        self._proposer.see(code)
        self._open[trial.number] = code
        return self._slots.params(code)

    def _catch_up(self, trial: FrozenTrial) -> None:
        code = self._slots.code(trial.params)
        proposed = self._open[trial.number]
        if not trial.state.is_finished():
            if code is not None and proposed is None:
                self._proposer.see(code)
                self._open[trial.number] = code
            return
        del self._open[trial.number]
        if code is None:
            if proposed is not None:
                self._proposer.forget(proposed)
            return
        self._proposer.see(code)
        if "duplicate_of" in trial.user_attrs:
            return
        values = None
        if trial.state == TrialState.COMPLETE and np.isfinite(trial.values).all():
            values = (self._signs * trial.values).tolist()
        amounts = trial.constraints.items()
        known = {name: amount for name, amount in amounts if np.isfinite(amount)}
        self._proposer.learn(code, values, known)


class _Slots:
    """Parameters as slots of a space, and back."""

    def __init__(self, search_space: dict[str, BaseDistribution]) -> None:
        places = {name: re.fullmatch(r"s(\d+)b(\d+)", name) for name in search_space}
        if all(places.values()):
            order = {n: (int(m[1]), int(m[2])) for n, m in places.items() if m}
        else:
            in_order = sorted(search_space, key=_with_numbers)
            order = {name: (1, i) for i, name in enumerate(in_order)}
        self._names = sorted(search_space, key=lambda name: order[name])
        stages = [order[name][0] for name in self._names]
        depths = tuple(stages.count(stage) for stage in sorted(set(stages)))
        self._choices = [_choices(search_space[name]) for name in self._names]
        letters: dict[str, str] = {}
        for choice in (repr(c) for choices in self._choices for c in choices):
            letters.setdefault(choice, chr(_FIRST_LETTER + len(letters)))
        self.space = SlotSpace(
            depths,
            tuple("".join(letters[repr(c)] for c in some) for some in self._choices),
        )
        self._index = [{repr(c): i for i, c in enumerate(s)} for s in self._choices]

    def code(self, params: dict[str, Any]) -> npt.NDArray[np.int64] | None:
        """Parameters as numbers; ``None`` if some are missing or foreign."""
        try:
            found = [
                index[repr(params[name])]
                for name, index in zip(self._names, self._index, strict=True)
            ]
        except KeyError:
            return None
        return np.array(found, dtype=np.int64)

    def params(self, code: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Numbers as parameters."""
        return {
            name: choices[i]
            for name, choices, i in zip(
                self._names, self._choices, code.tolist(), strict=True
            )
        }


def _with_numbers(name: str) -> list[str | int]:
    """Orders names as people do: texts and numbers in turns, texts first."""
    return [
        int(part) if at % 2 else part
        for at, part in enumerate(re.split(r"([0-9]+)", name))
    ]


def _is_short(distribution: BaseDistribution) -> bool:
    """Whether it is a list of choices that the model can hold."""
    if isinstance(distribution, IntDistribution):
        wide = (distribution.high - distribution.low) // distribution.step
        return wide < MAX_CHOICES
    return (
        isinstance(distribution, CategoricalDistribution)
        and len(distribution.choices) <= MAX_CHOICES
    )


def _choices(distribution: BaseDistribution) -> Sequence[Any]:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if isinstance(distribution, IntDistribution):
        return range(distribution.low, distribution.high + 1, distribution.step)
    raise TypeError(f"not a choice: {distribution!r}")
