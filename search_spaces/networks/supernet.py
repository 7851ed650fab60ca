"""One network that holds every placement of a space, one path at a time.

Every slot holds one block of each kind that it may have; stem and head are shared.
A placement chooses one block a slot, and the network it names is an ordinary
:class:`~search_spaces.networks.alternet.AlterNet` made of these very blocks (Guo et
al., 2020, "Single Path One-Shot Neural Architecture Search", arXiv 1904.00420).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import cast

from torch import Tensor, nn

from search_spaces.errors import InputError
from search_spaces.networks.alternet import AlterNet, Head

Step = Callable[[str, nn.Module, Tensor], Tensor]
"""Runs a module on a map, given the letters of the slots so far, the module's own
slot included; of the stem ``""``, of the head all letters."""


class Supernet(nn.Module):
    """The blocks of all placements of a space.

    Built by :func:`search_spaces.spaces.space_supernet.build_supernet`.

    Args:
        stem: Layers before the first slot.
        slots: For each slot, the block of every letter that it may have.
        depths: Number of slots of each stage.
        head: Maps the last feature map to logits.

    Attributes:
        stem: ``(batch, in_channels, image_size, image_size)`` to the first map.
        slots: ``slots[i][letter]``, slots counted through all stages from 0.
        head: Last feature map to logits ``(batch, num_classes)``.
        depths: Number of slots of each stage.
        letters: The letters of each slot, in the order of its kinds.
    """

    def __init__(
        self,
        stem: nn.Sequential,
        slots: Sequence[Mapping[str, nn.Module]],
        depths: Sequence[int],
        head: Head,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.slots = nn.ModuleList(nn.ModuleDict(dict(slot)) for slot in slots)
        self.head = head
        self.depths = tuple(depths)
        self.letters = tuple("".join(slot) for slot in slots)

    def block(self, slot: int, letter: str) -> nn.Module:
        """The block of a letter in a slot; slots count through all stages from 0."""
        return cast(nn.ModuleDict, self.slots[slot])[letter]

    def forward(self, x: Tensor, letters: str | None = None) -> Tensor:
        """Classify images with the network of one placement.

        Args:
            x: ``(batch, in_channels, height, width)``.
            letters: One letter per slot, without dashes; the first letter of every
                slot (all Conv) if ``None``.

        Returns:
            Logits ``(batch, num_classes)``.
        """
        chosen = self.letters if letters is None else letters
        x = self.stem(x)
        for slot, letter in enumerate(chosen):
            x = self.block(slot, letter[0])(x)
        return cast(Tensor, self.head(x))

    def walk(
        self, placements: Sequence[str], x: Tensor, step: Step
    ) -> Iterator[tuple[str, Tensor]]:
        """Run many placements on one batch, each distinct prefix once.

        Placements that agree in their first k slots have the same maps up to there, as
        long as what a step does depends on the letters so far alone. One map per slot
        is in memory.

        Args:
            placements: Each different, one letter per slot, without dashes.
            x: ``(batch, in_channels, height, width)``.
            step: Runs stem, block or head.

        Yields:
            A placement and its logits ``(batch, num_classes)``, in alphabetical order.
        """
        yield from self._descend(sorted(placements), step("", self.stem, x), 0, step)

    def _descend(
        self, members: Sequence[str], x: Tensor, slot: int, step: Step
    ) -> Iterator[tuple[str, Tensor]]:
        if slot == len(self.slots):
            yield members[0], step(members[0], self.head, x)
            return
        groups: dict[str, list[str]] = {}
        for member in members:
            groups.setdefault(member[slot], []).append(member)
        for letter, group in groups.items():
            prefix = group[0][: slot + 1]
            # A user's block may work in place, and its siblings need the same input.
            given = x.clone() if len(groups) > 1 else x
            out = step(prefix, self.block(slot, letter), given)
            yield from self._descend(group, out, slot + 1, step)

    def path(self, letters: str) -> AlterNet:
        """The network of a placement, made of the supernet's own blocks.

        Args:
            letters: One letter per slot, with dashes between stages or without.

        Returns:
            A network that shares every tensor with the supernet: what trains one
            trains the other.

        Raises:
            InputError: A slot has no block of a letter, or there are too many or too
                few letters.
        """
        plain = self.checked(letters)
        blocks = [self.block(slot, letter) for slot, letter in enumerate(plain)]
        stages, texts, start = [], [], 0
        for depth in self.depths:
            stages.append(blocks[start : start + depth])
            texts.append(plain[start : start + depth])
            start += depth
        return AlterNet(self.stem, stages, texts, self.head)

    def checked(self, letters: str) -> str:
        """The letters of a placement, one per slot, without dashes.

        Args:
            letters: With dashes between stages or without.

        Raises:
            InputError: A slot has no block of a letter, or there are too many or too
                few letters.
        """
        plain = letters.replace("-", "")
        if len(plain) != len(self.slots):
            raise InputError(
                f"a placement of this supernet has {len(self.slots)} letters, got "
                f"{len(plain)}: {letters}"
            )
        for slot, (letter, known) in enumerate(zip(plain, self.letters, strict=True)):
            if letter not in known:
                raise InputError(
                    f"slot {slot + 1} of this supernet has blocks of the letters "
                    f"{known}, got {letter!r} in {letters}"
                )
        return plain

    def network(self, letters: str) -> AlterNet:
        """A copy of the network of a placement; shares nothing with the supernet.

        Args:
            letters: As for :meth:`path`.

        Returns:
            The network in eval mode.

        Raises:
            InputError: As for :meth:`path`.
        """
        return deepcopy(self.path(letters)).eval()
