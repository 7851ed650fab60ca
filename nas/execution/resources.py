"""What one trial gets, and where trials run."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.config.running import ResourcesConfig


@dataclass(frozen=True)
class Resources:
    """What one trial gets, and where the trials run.

    Attributes:
        cpus: CPUs of a trial; it gets as many math threads.
        gpus: GPUs of a trial; fractions share one.
        max_concurrent: Most trials at once; ``None`` for as many as fit.
        worker_cpus: CPUs that a trial's own workers reserve besides; a local cluster
            is made large enough for them.
        address: ``local`` starts a cluster on this machine; ``auto``,
            ``HOST:PORT`` or ``ray://HOST:PORT`` joins one.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    max_concurrent: int | None = None
    worker_cpus: float = 0.0
    address: str = "local"

    @classmethod
    def of_trial(cls, wanted: "ResourcesConfig") -> "Resources":
        """Those of one trial in one process.

        Args:
            wanted: A config's section ``resources``.
        """
        return cls(
            cpus=wanted.cpus_per_trial,
            gpus=wanted.gpus_per_trial,
            max_concurrent=wanted.max_concurrent,
            address=wanted.address,
        )

    def slots_on(self, offer: dict[str, float]) -> int:
        """How many trials fit at once on a node with these resources."""
        fits = [
            math.floor(offer.get(name, 0.0) / wanted + 1e-9)
            for name, wanted in (("CPU", self.cpus), ("GPU", self.gpus))
            if wanted > 0
        ]
        return min(fits, default=0)
