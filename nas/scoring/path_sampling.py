"""Which paths of a supernet are trained at a step, so that every block has its turn.

With the arrangement ``pairs`` a step trains as many paths as the richest slot has
letters. In every slot the paths hold different letters, each in a random order: with
two letters a random placement and its complement, with three a Latin arrangement
(strict fairness of Chu et al., 2021, "FairNAS", arXiv 1907.01845). ``single`` is one
path at a step, drawn uniformly (Guo et al., 2020, arXiv 1904.00420).

A step's paths depend on the seed and the number of the step alone, so a continued
training needs nothing kept.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Arrangement = Literal["pairs", "single"]


class PathSampling:
    """Draws the paths of every step.

    Args:
        letters: The letters of each slot.
        arrangement: ``pairs`` or ``single``.
        seed: Of the draws.

    Attributes:
        num_paths: Paths of a step.
    """

    def __init__(
        self, letters: Sequence[str], arrangement: Arrangement, seed: int
    ) -> None:
        self._letters = tuple(letters)
        self._seed = seed
        richest = max(map(len, self._letters))
        self.num_paths = 1 if arrangement == "single" else richest

    def __call__(self, step: int) -> tuple[str, ...]:
        """The paths of a step.

        Args:
            step: From 0.

        Returns:
            :attr:`num_paths` texts of one letter per slot.
        """
        rng = np.random.default_rng((self._seed, step))
        columns = [self._column(slot, step, rng) for slot in range(len(self._letters))]
        return tuple("".join(row) for row in zip(*columns, strict=True))

    def _column(self, slot: int, step: int, rng: np.random.Generator) -> list[str]:
        """The letters of one slot, one a path, in random order."""
        letters = self._letters[slot]
        if self.num_paths == 1:
            return [letters[int(rng.integers(len(letters)))]]
        each, extra = divmod(self.num_paths, len(letters))
        found = list(letters) * each
        if extra:
            # A slot with fewer letters than paths: some are trained once more. Over
            # as many steps as it has letters, all come equally often.
            block, turn = divmod(step, len(letters))
            own = np.random.default_rng((self._seed, slot, block, 1))
            order = own.permutation(len(letters))
            found += [
                letters[order[(turn * extra + i) % len(letters)]] for i in range(extra)
            ]
        return [found[i] for i in rng.permutation(self.num_paths)]
