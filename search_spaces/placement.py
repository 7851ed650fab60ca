"""Which kind of block stands where: one letter per block, stages joined by a dash.

``CCC-CCCM-CMCMCM-CMCM`` is AlterNet-50 of "How Do Vision Transformers Work?"
(Park & Kim, ICLR 2022): ``C`` is a Conv block, ``M`` a multi-head
self-attention (MSA) block. The letters are those of the registered kinds of blocks
(:mod:`search_spaces.kinds.block_kinds`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from search_spaces.errors import InputError, shown
from search_spaces.kinds.block_kinds import described_kinds, is_block_kind
from search_spaces.limits import MAX_BLOCKS


class Slot(NamedTuple):
    """One position of a placement; stage and block count from 1."""

    stage: int
    block: int
    letter: str


@dataclass(frozen=True, order=True)
class Placement:
    """Which block of which stage is of which kind.

    Attributes:
        stages: One string of letters per stage, e.g. ``("CC", "CM")``.
            A single string such as ``"CC-CM"`` is accepted and split.

    Raises:
        InputError: A stage is empty or has a letter of no registered kind.
    """

    stages: tuple[str, ...]

    def __post_init__(self) -> None:
        given: object = self.stages
        if isinstance(given, str):
            given = tuple(given.split("-"))
        if not isinstance(given, (tuple, list)) or not given:
            raise InputError(
                "a placement is one or more stages of letters joined by '-', "
                f"e.g. 'CC-CM'; got {shown(self.stages)}"
            )
        length = sum(len(one) if isinstance(one, str) else 1 for one in given)
        if max(length, len(given)) > MAX_BLOCKS:
            raise InputError(
                f"a placement has at most {MAX_BLOCKS} blocks, "
                f"got {length} letters in {len(given)} stages"
            )
        for number, stage in enumerate(given, start=1):
            if not isinstance(stage, str) or not stage:
                raise InputError(
                    "every stage of a placement needs at least one block; "
                    f"stage {number} of {self._shown(given)} is empty"
                )
            for block, letter in enumerate(stage, start=1):
                if not is_block_kind(letter):
                    raise InputError(
                        f"a block is {described_kinds()}; got {letter!r} at "
                        f"stage {number}, block {block} of {self._shown(given)}"
                    )
        object.__setattr__(self, "stages", tuple(given))

    @staticmethod
    def _shown(stages: Sequence[object]) -> str:
        return shown("-".join(str(stage) for stage in stages))

    @classmethod
    def parse(cls, text: str) -> "Placement":
        """Read the one-letter-per-block notation; the inverse of ``str``.

        Args:
            text: For example ``"CCC-CCCM-CMCMCM-CMCM"``.

        Returns:
            The placement.

        Raises:
            InputError: The text is anything else.
        """
        if not isinstance(text, str):
            raise InputError(
                "a placement is written as text such as 'CC-CM', "
                f"got {type(text).__name__} {shown(text)}"
            )
        return cls(tuple(text.split("-")))

    @classmethod
    def all_conv(cls, depths: Sequence[int]) -> "Placement":
        """The all-Conv parent with the given number of blocks a stage."""
        return cls.filled(depths, "C")

    @classmethod
    def all_msa(cls, depths: Sequence[int]) -> "Placement":
        """The placement of MSA blocks alone."""
        return cls.filled(depths, "M")

    @classmethod
    def filled(cls, depths: Sequence[int], letter: str) -> "Placement":
        """The placement of blocks of one kind alone."""
        return cls(tuple(letter * depth for depth in depths))

    @classmethod
    def alternating(
        cls, depths: Sequence[int], counts: Sequence[int], letter: str = "M"
    ) -> "Placement":
        """The paper's pattern: from the end of a stage, every second block is MSA.

        Stage ``n`` with ``m`` MSAs has them at blocks n, n-2, n-4, ...
        (models/alternet.py of the reference, which silently drops an MSA when
        ``2 m > n``; here that is an error).

        Args:
            depths: Blocks of each stage.
            counts: MSA blocks of each stage.
            letter: The kind to put in the place of the MSAs.

        Returns:
            The placement.

        Raises:
            InputError: The lists differ in length or a stage has no room for so
                many alternating MSAs.
        """
        if len(depths) != len(counts):
            raise InputError(
                "alternating placements need one MSA count per stage "
                f"({len(depths)} stages), got {len(counts)} counts"
            )
        stages = []
        for number, (depth, count) in enumerate(
            zip(depths, counts, strict=True), start=1
        ):
            if not 0 <= count <= depth // 2:
                raise InputError(
                    f"a stage of {depth} blocks has room for 0 to {depth // 2} "
                    f"alternating MSAs, got {count} for stage {number}"
                )
            letters = ["C"] * depth
            for back in range(count):
                letters[depth - 1 - 2 * back] = letter
            stages.append("".join(letters))
        return cls(tuple(stages))

    def __str__(self) -> str:
        return "-".join(self.stages)

    @property
    def depths(self) -> tuple[int, ...]:
        """Number of blocks of each stage."""
        return tuple(len(stage) for stage in self.stages)

    @property
    def letters(self) -> str:
        """All letters without the dashes."""
        return "".join(self.stages)

    @property
    def num_blocks(self) -> int:
        """Number of blocks of all stages."""
        return len(self.letters)

    @property
    def num_msas(self) -> int:
        """Number of MSA blocks of all stages."""
        return self.letters.count("M")

    @property
    def msa_counts(self) -> tuple[int, ...]:
        """Number of MSA blocks of each stage."""
        return tuple(stage.count("M") for stage in self.stages)

    def slots(self) -> Iterator[Slot]:
        """Walk through the blocks in the order of the forward pass.

        Yields:
            Stage, block (both from 1) and letter of each block.
        """
        for number, stage in enumerate(self.stages, start=1):
            for block, letter in enumerate(stage, start=1):
                yield Slot(number, block, letter)

    def replace(self, stage: int, block: int, letter: str) -> "Placement":
        """The placement with one block changed.

        Args:
            stage: Stage, from 1.
            block: Block of the stage, from 1.
            letter: Letter of the kind to put there.

        Returns:
            A new placement.

        Raises:
            InputError: There is no such slot or no such letter.
        """
        if not 1 <= stage <= len(self.stages):
            raise InputError(
                f"stage counts from 1 to {len(self.stages)} in {self}, got {stage}"
            )
        letters = self.stages[stage - 1]
        if not 1 <= block <= len(letters):
            raise InputError(
                f"block counts from 1 to {len(letters)} in stage {stage} of {self}, "
                f"got {block}"
            )
        changed = letters[: block - 1] + letter + letters[block:]
        if len(letter) != 1:
            raise InputError(f"a block is {described_kinds()}; got {letter!r}")
        return Placement((*self.stages[: stage - 1], changed, *self.stages[stage:]))
