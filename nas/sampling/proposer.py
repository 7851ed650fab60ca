"""What is trained next: the queue, the baselines, then whatever the sampler says.

Knows the ledger and the space, but neither Ray nor processes; a plain loop can
drive a whole search with it:

    while isinstance(proposal := proposer.next(), Proposal):
        ledger.complete(proposal.number, train(proposal))
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nas.ledger.ledger import Ledger, Proposal
from nas.ledger.space import Space
from nas.sampling.design import WAIT, Design, Wait
from nas.sampling.samplers import SamplerContext, create_sampler
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError

_DUPLICATES_IN_A_ROW = 20
"""After so many repeated proposals an unseen architecture is drawn; as found to
work in a comparison of samplers (longest streak of multivariate TPE: 3)."""

_REFUSALS_IN_A_ROW = 200
"""After so many proposals that break a constraint a feasible one is drawn; our
choice: they cost milliseconds, and the sampler learns from each."""

_LARGE_STUDY = 1000
"""Rows from which fewer repeats are waited for: each takes longer to propose, and a
sampler that has seen so much repeats itself because it has settled (our choice)."""

_DRAWS = 1000
"""Random draws before a space counts as used up; spaces that can be enumerated are."""

_QUICK_DRAWS = 50
"""Random draws before a space is enumerated for what is left: listing it takes seconds
where it is large, and is needed only when little is left."""

_ENUMERATED = 100_000
"""Spaces up to this size are enumerated when an unseen architecture is wanted."""


@dataclass(frozen=True)
class Plan:
    """How much of what is to be trained.

    Attributes:
        space: The search space.
        sampler: A key of ``nas.sampling.samplers.SAMPLERS``.
        num_trials: Training runs in all: replicates, baselines and failures count,
            a lost trial and its repetition count once.
        seed: Seed of the search; replicate i is trained with ``seed + i``.
        epochs: Budget of each trial.
        replicates: Seeds with which each architecture is trained.
        replicate_first: Only so many architectures, baselines included, are trained
            with all seeds, the later ones with one; ``None`` for all.
        baselines: Architectures to train first, by name.
        sampler_options: The sampler's own settings.
        deadline: ``time.time()`` after which nothing new starts, or ``None``.
    """

    space: Space
    sampler: str
    num_trials: int
    seed: int
    epochs: int
    replicates: int = 1
    replicate_first: int | None = None
    baselines: Mapping[str, Architecture] = field(default_factory=dict)
    sampler_options: Mapping[str, Any] = field(default_factory=dict)
    deadline: float | None = None


class Proposer:
    """Hands out training runs until the plan is fulfilled or the space used up.

    Attributes:
        exhausted: Whether the search ended because nothing untrained was left.

    Args:
        ledger: Where everything is written down.
        plan: What is wanted.
    """

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self._ledger = ledger
        self._plan = plan
        self._rng = random.Random(plan.seed + ledger.num_rows)
        self._unseen: list[Architecture] | None = None
        self.exhausted = False
        self._sampler = self._create_sampler()
        if not isinstance(self._sampler, Design):
            ledger.study.sampler = self._sampler
        self._enqueue_baselines()
        self._enqueue_missing_seeds()

    def _create_sampler(self) -> Any:
        plan = self._plan
        context = SamplerContext(
            space=plan.space,
            objectives=self._ledger.objectives,
            seed=plan.seed,
            num_trials=plan.num_trials,
            replicates=plan.replicates,
            options=plan.sampler_options,
        )
        sampler = create_sampler(plan.sampler, context)
        if isinstance(sampler, Design) or not self._ledger.num_rows:
            return sampler
        # A sampler made again with the same seed would draw the same points again.
        seed = plan.seed + self._ledger.num_rows
        return create_sampler(plan.sampler, replace(context, seed=seed))

    def _enqueue_baselines(self) -> None:
        for name, architecture in self._plan.baselines.items():
            self._enqueue(architecture, range(self._replicates()), baseline=name)

    def _enqueue_missing_seeds(self) -> None:
        """Queue what a driver that was killed between two writes has not queued."""
        if self._plan.replicates == 1:
            return
        first_runs = {t.architecture_id: t for t in reversed(self._ledger.trials())}
        architectures = sorted(first_runs.values(), key=lambda trial: trial.number)
        for trial in architectures[: self._plan.replicate_first]:
            if trial.epochs == self._plan.epochs:
                self._enqueue(
                    Architecture.from_dict(dict(trial.architecture)),
                    range(self._plan.replicates),
                    baseline=trial.baseline or "",
                )

    def _enqueue(
        self, architecture: Architecture, replicates: Sequence[int], baseline: str = ""
    ) -> None:
        plan = self._plan
        keys = [(architecture.id, plan.seed + i, plan.epochs) for i in replicates]
        missing = [key[1] for key in keys if self._ledger.find(key) is None]
        if seeds := missing[: max(0, self._left)]:
            self._ledger.enqueue(
                architecture,
                seeds,
                plan.epochs,
                params=self._parameters(architecture),
                attributes={"baseline": baseline} if baseline else {},
            )

    def _parameters(self, architecture: Architecture) -> Mapping[str, Any]:
        try:
            if self._plan.space.contains(architecture):
                return self._plan.space.parameters(architecture)
        except InputError:
            pass  # a baseline may lie outside the space
        return {}

    def _replicates(self, num_known: int = 0) -> int:
        """Seeds of the next architecture.

        Args:
            num_known: How many of the architectures in the ledger are that one.
        """
        first = self._plan.replicate_first
        if first is None or self._plan.replicates == 1:
            return self._plan.replicates
        distinct = {trial.architecture_id for trial in self._ledger.trials()}
        return self._plan.replicates if len(distinct) - num_known < first else 1

    @property
    def _left(self) -> int:
        return self._plan.num_trials - self._ledger.num_counted

    def _seen(self, architecture: Architecture) -> int | None:
        plan = self._plan
        return self._ledger.find((architecture.id, plan.seed, plan.epochs))

    def next(self) -> Proposal | Wait | None:
        """The next training run.

        Returns:
            A proposal, which is written down as running; ``WAIT`` if there may be
            one when a running trial has ended; ``None`` if the search is over.
        """
        late = self._plan.deadline is not None and time.time() > self._plan.deadline
        if self._ledger.num_waiting and not late:
            return self._ledger.pop(self._plan.space)
        if late or self._left <= 0:
            # A worker may yet be lost, and its trial queued again.
            return WAIT if self._ledger.num_running else None
        if isinstance(self._sampler, Design):
            proposal = self._next_of_design(self._sampler)
        else:
            proposal = self._next_of_sampler()
        if proposal is not None:
            return proposal
        if self._ledger.num_running:
            return WAIT
        self.exhausted = True
        return None

    def _next_of_design(self, design: Design) -> Proposal | Wait | None:
        for _ in range(_DRAWS):
            architecture = design.propose(self._ledger.trials())
            if architecture is None or isinstance(architecture, Wait):
                if architecture is WAIT and not self._ledger.num_running:
                    return None  # nothing runs that it could wait for
                return architecture
            if self._seen(architecture) is None:
                self._enqueue(architecture, range(self._replicates()))
                return self._ledger.pop(self._plan.space)
        return self._unseen_one()

    def _next_of_sampler(self) -> Proposal | None:
        num_repeated = num_refused = 0
        patience = _DUPLICATES_IN_A_ROW
        if self._ledger.num_rows > _LARGE_STUDY:
            patience = max(3, patience * _LARGE_STUDY // self._ledger.num_rows)
        while True:
            handle = self._ledger.ask()
            with self._ledger.batch():
                architecture = self._plan.space.suggest(handle)
                amounts = self._plan.space.violations(architecture)
                self._ledger.constrain(handle, amounts)
                broken = {name: by for name, by in amounts.items() if by > 0}
                twin = self._seen(architecture)
                if not broken and twin is None:
                    proposal = self._ledger.start(
                        handle, architecture, self._plan.seed, self._plan.epochs
                    )
                    break
                if broken:
                    self._ledger.refuse(handle, architecture, broken)
                    num_refused += 1
            if twin is not None and not broken:
                self._ledger.repeat(handle, architecture, twin)
                num_repeated += 1
            if num_repeated >= patience or num_refused >= _REFUSALS_IN_A_ROW:
                return self._unseen_one()
        # The proposal itself is in the ledger already.
        self._enqueue(architecture, range(1, self._replicates(num_known=1)))
        return proposal

    def _unseen_one(self) -> Proposal | None:
        """Draw an architecture that was not trained, ``None`` if there is none."""
        architecture = self._draw_unseen()
        if architecture is None:
            return None
        self._enqueue(architecture, range(self._replicates()))
        return self._ledger.pop(self._plan.space)

    def _draw_unseen(self) -> Architecture | None:
        space = self._plan.space
        num = _DRAWS if space.size > _ENUMERATED else _QUICK_DRAWS
        draws = (space.sample(self._rng) for _ in range(num))
        found = next((a for a in draws if self._seen(a) is None), None)
        if found is not None or space.size > _ENUMERATED:
            return found
        if self._unseen is None:
            self._unseen = list(space.enumerate())
            self._rng.shuffle(self._unseen)
        while self._unseen:
            architecture = self._unseen.pop()
            if self._seen(architecture) is None:
                return architecture
        return None
