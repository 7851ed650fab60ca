"""What workers are given of a search that starts from a trained parent."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.data.datasets import Dataset


@dataclass(frozen=True)
class FineTuneData:
    """What every run is given.

    Attributes:
        images: Without the test split.
        parent: Fingerprint of the parent.
    """

    images: "Dataset"
    parent: str
