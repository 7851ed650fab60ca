"""A design: a sampler that names whole architectures itself, and may wait."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nas.ledger.trial import Trial

if TYPE_CHECKING:
    from search_spaces.architecture import Architecture


class Wait:
    """Answer of a design that needs running trials to end first."""


WAIT = Wait()


class Design(ABC):
    """A sampler that names whole architectures itself."""

    @abstractmethod
    def propose(self, trials: Sequence[Trial]) -> "Architecture | Wait | None":
        """Name the next architecture.

        An architecture that the study holds already is skipped by the caller, which
        then asks again: a design may walk a fixed sequence from its start.

        Args:
            trials: All trials of the study so far, in order.

        Returns:
            The next architecture; ``WAIT`` if that depends on trials that are still
            running; ``None`` at the end of the design.
        """

    def split_group(self, architecture: "Architecture") -> str:
        """What shares a train/validation split, where splits are drawn anew.

        Args:
            architecture: One that the design has named.

        Returns:
            Its id: every architecture for itself, unless a design compares some of
            them directly.
        """
        return architecture.id


class _Sequence(Design):
    """A design that does not look at results: one fixed sequence."""

    def __init__(self, architectures: Iterable["Architecture"]) -> None:
        self._architectures: Iterator[Architecture] = iter(architectures)

    def propose(self, trials: Sequence[Trial]) -> "Architecture | None":
        return next(self._architectures, None)


def fixed_sequence(architectures: Iterable["Architecture"]) -> Design:
    """Make a design of a given sequence of architectures, drawn lazily."""
    return _Sequence(architectures)
