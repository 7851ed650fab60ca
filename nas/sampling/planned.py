"""What a search trains whatever its sampler would say."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from search_spaces.architecture import Architecture

Part = Literal["random", "promising"]
"""Why it is trained: drawn without a look at any result, or chosen by one."""


@dataclass(frozen=True)
class Planned:
    """An architecture that is queued before the first trial.

    Attributes:
        architecture: What is trained.
        sampled: Why; ``None`` for a baseline.
        baseline: Name of the baseline that it is, or ``None``.
    """

    architecture: "Architecture"
    sampled: Part | None = None
    baseline: str | None = None

    @property
    def attributes(self) -> dict[str, str]:
        """What its trials carry in the ledger."""
        known = {"sampled": self.sampled, "baseline": self.baseline}
        return {name: text for name, text in known.items() if text is not None}
