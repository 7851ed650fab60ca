"""The seeds of a run: of its training, and of its split if it has one of its own."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class RunSeeds:
    """The seeds of one training run.

    Attributes:
        seed: Of initialisation, data order and augmentation.
        split_seed: Of the draw of training and validation images; ``None`` for the
            split that the whole study has.
    """

    seed: int
    split_seed: int | None = None

    def replicate(self, number: int, *, vary_seed: bool = True) -> "RunSeeds":
        """The seeds of a further run of the same network.

        Args:
            number: Of the replicate; 0 is this run itself.
            vary_seed: Whether replicates differ in their training seed.
        """
        split = self.split_seed
        return RunSeeds(
            self.seed + number if vary_seed else self.seed,
            None if split is None else split + number,
        )


def split_seed_of(base: int, group: str) -> int:
    """The split seed of all runs that share a split.

    Args:
        base: ``data.split_seed`` of the study.
        group: What shares the split: a placement's id, or that of a block of swaps.

    Returns:
        31 bits that depend on nothing else, so that a resumed search draws the same.
    """
    digest = hashlib.sha256(f"{base}/{group}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
