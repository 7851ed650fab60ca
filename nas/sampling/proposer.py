"""What is trained next: the queue, the baselines, then whatever the sampler says.

Knows the ledger and the space, but neither Ray nor processes; a plain loop can
drive a whole search with it:

    while isinstance(proposal := proposer.next(), Proposal):
        ledger.complete(proposal.number, train(proposal))
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nas.ledger.ledger import Ledger, Proposal
from nas.ledger.space import Space
from nas.sampling.design import WAIT, Design, Wait
from nas.sampling.planned import Planned
from nas.sampling.run_seeds import RunSeeds, split_seed_of
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
        vary_seed: Whether replicates have training seeds of their own.
        split_seed: Base of the seeds with which the runs draw splits of their own;
            ``None`` if all have the study's.
        most_runs: Runs that an architecture can have, where that is limited.
        planned: Architectures to train after the baselines, in this order.
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
    vary_seed: bool = True
    split_seed: int | None = None
    planned: Sequence[Planned] = ()
    most_runs: Callable[[Architecture], int] | None = None


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
        self._enqueue_planned()
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
            first = self._first_seeds(architecture)
            replicates = range(self._replicates())
            known = {"baseline": name}
            self._enqueue(architecture, first, replicates, attributes=known)

    def _enqueue_planned(self) -> None:
        for one in self._plan.planned:
            first = self._first_seeds(one.architecture)
            replicates = range(self._replicates())
            self._enqueue(
                one.architecture, first, replicates, attributes=one.attributes
            )

    def _enqueue_missing_seeds(self) -> None:
        """Queue what a driver that was killed between two writes has not queued."""
        if self._plan.replicates == 1:
            return
        replicates = range(self._plan.replicates)
        known: set[tuple[str, RunSeeds]] = set()
        architectures: list[str] = []
        for trial in self._ledger.trials():
            first = RunSeeds(trial.seed, trial.split_seed)
            if (trial.architecture_id, first) in known:
                continue  # a further run of an earlier one
            runs = self._runs(first, replicates)
            known.update((trial.architecture_id, seeds) for seeds in runs)
            if trial.architecture_id not in architectures:
                architectures.append(trial.architecture_id)
            among = architectures.index(trial.architecture_id)
            wanted = self._plan.replicate_first
            if trial.epochs == self._plan.epochs and (wanted is None or among < wanted):
                self._enqueue(
                    Architecture.from_dict(dict(trial.architecture)),
                    first,
                    replicates,
                    attributes={
                        name: text
                        for name in ("baseline", "sampled")
                        if (text := getattr(trial, name)) is not None
                    },
                )

    def _first_seeds(self, architecture: Architecture, group: str = "") -> RunSeeds:
        """The seeds of the first run of an architecture.

        Args:
            architecture: What is trained.
            group: What shares its split; itself alone if empty.
        """
        plan = self._plan
        if plan.split_seed is None:
            return RunSeeds(plan.seed)
        split = split_seed_of(plan.split_seed, group or architecture.id)
        return RunSeeds(plan.seed, split)

    def _runs(self, first: RunSeeds, replicates: Sequence[int]) -> list[RunSeeds]:
        vary = self._plan.vary_seed
        return [first.replicate(number, vary_seed=vary) for number in replicates]

    def _enqueue(
        self,
        architecture: Architecture,
        first: RunSeeds,
        replicates: Sequence[int],
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        if (most := self._plan.most_runs) is not None:
            replicates = [one for one in replicates if one < most(architecture)]
        missing = [
            run
            for run in self._runs(first, replicates)
            if self._find(architecture, run) is None
        ]
        if runs := missing[: max(0, self._left)]:
            self._ledger.enqueue(
                architecture,
                [run.seed for run in runs],
                self._plan.epochs,
                params=self._parameters(architecture),
                attributes=attributes or {},
                split_seeds=[run.split_seed for run in runs],
            )

    def _find(self, architecture: Architecture, run: RunSeeds) -> int | None:
        key = (architecture.id, run.seed, self._plan.epochs, run.split_seed)
        return self._ledger.find(key)

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
        return self._find(architecture, self._first_seeds(architecture))

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
            first = self._first_seeds(architecture, design.split_group(architecture))
            if self._find(architecture, first) is None:
                self._enqueue(architecture, first, range(self._replicates()))
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
                first = self._first_seeds(architecture)
                twin = self._find(architecture, first)
                if not broken and twin is None:
                    proposal = self._ledger.start(
                        handle,
                        architecture,
                        first.seed,
                        self._plan.epochs,
                        first.split_seed,
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
        further = range(1, self._replicates(num_known=1))
        self._enqueue(architecture, first, further)
        return proposal

    def _unseen_one(self) -> Proposal | None:
        """Draw an architecture that was not trained, ``None`` if there is none."""
        architecture = self._draw_unseen()
        if architecture is None:
            return None
        first = self._first_seeds(architecture)
        self._enqueue(architecture, first, range(self._replicates()))
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
