"""Designs for measuring: which placements to train to learn what each slot does.

A search that optimises looks where it is good; a design looks everywhere equally. The
``factorial`` design is a folded-over D-optimal fraction of the two-level factorial of
all slots: every placement is followed by its mirror image (C and M exchanged), so that
each slot is an MSA in exactly half of the trials and main effects are free of pair
interactions (Box & Wilson's fold-over); each new pair is the one that adds most to what
is known of the slots, within a number of MSAs that is due. Any first part of the design
is itself nearly balanced: it can be stopped, or cut to what time allows.
"""

import random
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from math import sqrt

import numpy as np
import numpy.typing as npt

from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.placement import Placement
from search_spaces.spaces.constraints import Constraints
from search_spaces.spaces.free_space import FreeSpace
from search_spaces.spaces.space import SearchSpace

Floats = npt.NDArray[np.float64]
Slots = Sequence[tuple[int, int]]

MAX_ENUMERATED = 1 << 14
"""Spaces up to this size are listed; of larger ones a sample is (our choice)."""

MAX_CANDIDATES = 512
"""Placements compared for each step of the design (our choice: milliseconds a step)."""


def factorial_design(
    space: SearchSpace | Sequence[int],
    num_trials: int,
    seed: int = 0,
    allowed: Slots | None = None,
) -> list[Placement]:
    """A design that is balanced over slots and over the number of MSAs.

    Args:
        space: A search space, or the depths of a free one.
        num_trials: Placements wanted.
        seed: Seed of the choices among equals; the same seed gives the same design,
            and a longer design begins with the shorter one.
        allowed: With depths, the slots (stage and block from 1) that may be MSAs;
            default all.

    Returns:
        Distinct placements; all of the space if it has no more than were asked for.

    Raises:
        InputError: ``allowed`` names a slot that does not exist.
    """
    if isinstance(space, SearchSpace):
        pool = _placements_of(space, seed)
    else:
        pool = _placements_of_depths(tuple(space), allowed, seed)
    walk = _FactorialWalk(pool, seed)
    return [placement for placement, _ in zip(walk, range(num_trials), strict=False)]


def uniform_design(space: SearchSpace, seed: int = 0) -> Iterator[Architecture]:
    """Distinct architectures, each drawn with equal chance from those left.

    Args:
        space: The search space.
        seed: Seed of the draws.

    Yields:
        Architectures, until the space is used up or (in a space too large to list)
        a thousand draws bring nothing new.
    """
    rng = random.Random(seed)
    if space.size <= MAX_ENUMERATED:
        everything = list(space.enumerate())
        rng.shuffle(everything)
        yield from everything
        return
    seen: set[str] = set()
    misses = 0
    while misses < 1000:
        architecture = space.sample(rng)
        misses = misses + 1 if architecture.id in seen else 0
        if architecture.id not in seen:
            seen.add(architecture.id)
            yield architecture


def factorial_architectures(
    space: SearchSpace, seed: int = 0
) -> Iterator[Architecture]:
    """The factorial design of a space as architectures.

    Settings that the space searches besides the placement are drawn at random, so that
    they are noise to the slots and not confounded with them.

    Args:
        space: The search space.
        seed: Seed of the design.

    Yields:
        Architectures with distinct placements, until there are no more.
    """
    rng = random.Random(seed)
    for placement in _FactorialWalk(_placements_of(space, seed), seed):
        settings = {
            (what, stage): rng.choice(list(values))
            for what, per_stage in space.choices.items()
            for stage, values in enumerate(per_stage)
        }
        architecture = space.architecture(placement, settings)
        if space.is_infeasible(architecture):  # by its settings: take the first ones
            architecture = space.architecture(placement)
        yield architecture


def _placements_of(space: SearchSpace, seed: int) -> list[Placement]:
    """The placements of a space, or a large sample of them, without repetition."""
    if type(space) is FreeSpace and space.constraints == Constraints():
        depths = space.backbone.depths
        slots = (slot[:2] for slot in Placement.all_conv(depths).slots())
        free = [slot for slot in slots if space.slot_is_free(*slot)]
        return _placements_of_depths(depths, free, seed)
    if space.size <= MAX_ENUMERATED:
        found = (architecture.placement for architecture in space.enumerate())
    else:
        rng = random.Random(seed)
        found = (space.sample(rng).placement for _ in range(MAX_ENUMERATED))
    return list(dict.fromkeys(found))


def _placements_of_depths(
    depths: tuple[int, ...], allowed: Slots | None, seed: int
) -> list[Placement]:
    slots = [(s, b) for s, depth in enumerate(depths, 1) for b in range(1, depth + 1)]
    free = slots if allowed is None else sorted(set(allowed))
    for slot in free:
        if slot not in slots:
            raise InputError(
                f"slots of depths {list(depths)} are (stage, block) from (1, 1) to "
                f"{slots[-1]}; got {slot}"
            )
    if len(free) <= MAX_ENUMERATED.bit_length() - 1:
        masks: Sequence[int] = range(1 << len(free))
    else:
        rng = random.Random(seed)
        drawn = [rng.getrandbits(len(free)) for _ in range(MAX_ENUMERATED // 2)]
        full = (1 << len(free)) - 1
        masks = list(dict.fromkeys([*drawn, *(full ^ mask for mask in drawn)]))
    found = []
    for mask in masks:
        msas = {slot for i, slot in enumerate(free) if mask >> i & 1}
        letters = iter("CM"[slot in msas] for slot in slots)
        stages = tuple("".join(next(letters) for _ in range(depth)) for depth in depths)
        found.append(Placement(stages))
    return found


class _FactorialWalk:
    """Iterates over a pool of placements in the order of the design."""

    def __init__(self, pool: list[Placement], seed: int) -> None:
        self._pool = pool
        self._rng = random.Random(seed)
        self._bits = np.array(
            [[c == "M" for c in placement.letters] for placement in pool], dtype=float
        )
        self._varied = self._bits.std(axis=0) > 0
        self._counts = self._bits.sum(axis=1).astype(int)
        self._unused = np.ones(len(pool), dtype=bool)
        self._index = {placement: i for i, placement in enumerate(pool)}
        # Effects coding, and the squared count: position must be told from it.
        coded = 2 * self._bits[:, self._varied] - 1
        curve = (self._counts - self._counts.mean()) ** 2
        spread = float(curve.std())
        squared = (curve - curve.mean()) / spread if spread > 0 else 0 * curve
        self._regressors = np.column_stack([np.ones(len(pool)), coded, squared])
        self._inverse = np.eye(self._regressors.shape[1]) * 1e3  # a vague prior
        available = Counter(self._counts.tolist())
        # Flatter than the binomial, which has hardly a placement with few MSAs, but
        # not flat: near all-Conv and all-MSA a placement says little about position.
        self._share = {k: sqrt(n) for k, n in available.items()}
        self._taken: Counter[int] = Counter()

    def __iter__(self) -> Iterator[Placement]:
        unmirrored: deque[int] = deque()
        unknowns = self._regressors.shape[1]
        while self._unused.any():
            # A mirror adds nothing to the slots before the others have been seen once.
            if unmirrored and len(self._pool) - self._unused.sum() >= unknowns:
                mirror = self._mirror(unmirrored.popleft())
                if mirror is not None:
                    yield self._take(mirror)
                continue
            chosen = self._best(self._due_count())
            yield self._take(chosen)
            unmirrored.append(chosen)

    def _due_count(self) -> int:
        """The number of MSAs that is furthest behind its share."""
        left = sorted({int(k) for k in self._counts[self._unused]})
        self._rng.shuffle(left)
        return min(left, key=lambda k: (self._taken[k] + 1) / self._share[k])

    def _best(self, count: int) -> int:
        """The unused placement of that count that adds most to what is known.

        The determinant of the information grows by 1 + x' inverse x.
        """
        candidates = np.flatnonzero(self._unused & (self._counts == count)).tolist()
        if len(candidates) > MAX_CANDIDATES:
            candidates = self._rng.sample(candidates, MAX_CANDIDATES)
        self._rng.shuffle(candidates)
        rows = self._regressors[candidates]
        gains = np.einsum("ij,jk,ik->i", rows, self._inverse, rows)
        return int(candidates[int(np.argmax(gains > gains.max() - 1e-9))])

    def _mirror(self, chosen: int) -> int | None:
        """The unused placement with C and M exchanged in every varied slot."""
        flipped = np.where(self._varied, 1 - self._bits[chosen], self._bits[chosen])
        letters = iter("CM"[int(bit)] for bit in flipped)
        stages = tuple(
            "".join(next(letters) for _ in stage) for stage in self._pool[chosen].stages
        )
        index = self._index.get(Placement(stages))
        return index if index is not None and self._unused[index] else None

    def _take(self, index: int) -> Placement:
        self._unused[index] = False
        self._taken[int(self._counts[index])] += 1
        row = self._regressors[index]
        step = self._inverse @ row
        self._inverse -= np.outer(step, step) / (1 + row @ step)
        return self._pool[index]
