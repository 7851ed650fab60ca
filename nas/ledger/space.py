"""What a search needs of a search space; tests and plug-ins may bring their own."""

import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from search_spaces.architecture import Architecture


class Space(Protocol):
    """What a search needs of a ``search_spaces.SearchSpace``."""

    @property
    def size(self) -> int:
        """Number of architectures."""

    def contains(self, architecture: "Architecture") -> bool:
        """Whether the architecture belongs to the space."""

    def sample(self, rng: random.Random) -> "Architecture":
        """Draw one architecture."""

    def enumerate(self) -> Iterable["Architecture"]:
        """Every architecture, in a fixed order."""

    def suggest(self, trial: Any) -> "Architecture":
        """Choose an architecture through an Optuna-like trial."""

    def parameters(self, architecture: "Architecture") -> Mapping[str, Any]:
        """The parameters with which :meth:`suggest` gives this architecture."""

    def violations(self, architecture: "Architecture") -> Mapping[str, float]:
        """By how much it misses each constraint; at most 0 means kept."""
