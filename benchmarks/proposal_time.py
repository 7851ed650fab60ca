"""CPU time of a proposal by the sampler `linear` after 1,000 finished trials.

    python benchmarks/proposal_time.py

Each proposal is told its result before the next one is asked for, as in a search. The
first one, which fits the variances, is not counted.
"""

import statistics
import time

import numpy as np

from nas.prediction.slot_space import SlotSpace
from nas.sampling.thompson import ThompsonProposer

NUM_TRIALS = 1_000
REPEATS = 40
SPACES = {
    "three letters in 8 slots": SlotSpace((8,), ("CMP",) * 8),
    "two letters in 20 slots": SlotSpace((5,) * 4, ("CM",) * 20),
    "four letters in 20 slots": SlotSpace((5,) * 4, ("CMPS",) * 20),
}


def proposal_times(space: SlotSpace, num_objectives: int) -> list[float]:
    """Milliseconds of CPU time of each proposal."""
    rng = np.random.default_rng(0)
    proposer = ThompsonProposer(
        space, num_objectives, np.random.default_rng(1), num_startup=10
    )
    slots = len(space.letters)
    effects = rng.normal(size=(num_objectives, slots, 4))

    def train(code: np.ndarray) -> None:
        means = effects[:, np.arange(slots), code].sum(axis=1)
        values = means + rng.normal(size=num_objectives)
        proposer.see(code)
        proposer.learn(code, values.tolist(), {})

    for code in space.sample(rng, NUM_TRIALS):
        train(code)
    train(proposer.propose())
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        code = proposer.propose()
        times.append(1e3 * (time.process_time() - started))
        train(code)
    return times


def main() -> None:
    """Print a line for each space and number of objectives."""
    for name, space in SPACES.items():
        for num_objectives in (1, 2):
            times = proposal_times(space, num_objectives)
            print(
                f"{name}, objectives: {num_objectives}; median "
                f"{statistics.median(times):.1f} ms "
                f"({min(times):.1f} to {max(times):.1f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
