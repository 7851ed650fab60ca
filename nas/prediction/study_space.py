"""The placements of a study's own search space, and what they cost."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nas.prediction.slot_space import Codes, SlotSpace
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.study.study import Study
    from search_spaces.spaces.space import SearchSpace

Floats = npt.NDArray[np.float64]

MAX_LISTED = 100_000
"""Largest space whose placements are listed and predicted one by one (our choice: a
second or two); of larger ones the best are searched for."""

_DRAWN = 2_000
"""Architectures drawn to learn the letters of a space too large to list."""


@dataclass(frozen=True, eq=False)
class StudySpace:
    """The search space of a study as placements.

    Attributes:
        space: Letters of each slot.
        listed: Every placement that the space allows; ``None`` if there are more than
            :data:`MAX_LISTED`.
        search_space: The same as architectures.
        notes: What it leaves out, in sentences.
        is_named_only: Whether the networks are those of a table that was looked up:
            what they cost the table says, not the backbone of the config.
    """

    space: SlotSpace
    listed: tuple[str, ...] | None
    search_space: "SearchSpace"
    notes: tuple[str, ...] = ()
    is_named_only: bool = False

    @classmethod
    def of(cls, study: "Study") -> "StudySpace":
        """Read the space of a study from its config and its first trial.

        Args:
            study: An open study; its images are not looked at.

        Raises:
            InputError: It has no trial yet.
        """
        from search_spaces.architecture import Architecture

        trials = study.trials()
        if not trials:
            raise InputError(f"study {study.name!r} has no trial yet; nothing to learn")
        one = Architecture.from_dict(dict(trials[0].architecture))
        searched = study.config.space.make(
            one.num_classes, one.in_channels, one.image_size
        )
        notes = []
        if any(len(v) > 1 for values in searched.choices.values() for v in values):
            notes.append(
                "the study also searches attention settings; trials of one placement "
                "count as its replicates whatever their settings, so the noise holds "
                "what the settings do"
            )
        listed: tuple[str, ...] | None = None
        if searched.size <= MAX_LISTED:
            found = dict.fromkeys(str(a.placement) for a in searched.enumerate())
            listed = tuple(found)
            names = list(found)
        else:
            import random

            rng = random.Random(0)
            names = [str(searched.sample(rng).placement) for _ in range(_DRAWN)]
        space = SlotSpace.of_placements([tuple(name.split("-")) for name in names])
        is_recorded = trials[0].scorer == "recorded"
        return cls(space, listed, searched, tuple(notes), is_recorded)

    def costs(self, placements: list[str]) -> dict[str, Floats]:
        """Costs of placements, with the first choice of every searched setting.

        Args:
            placements: Any of the backbone's.

        Returns:
            ``macs``, ``params`` and, with a latency table, ``latency`` in seconds;
            nothing if the networks are only named.
        """
        from search_spaces.placement import Placement

        if self.is_named_only:
            return {}

        space = self.search_space
        built = [space.architecture(Placement.parse(p)) for p in placements]
        costs = [one.cost for one in built]
        found = {
            "macs": np.array([cost.macs for cost in costs], dtype=float),
            "params": np.array([cost.params for cost in costs], dtype=float),
        }
        if space.latency_table is not None:
            times = [space.latency(one) for one in built]
            found["latency"] = np.array(times, dtype=float)
        return found

    def allows(self, placements: list[str]) -> npt.NDArray[np.bool_]:
        """Which placements keep to the constraints of the space."""
        from search_spaces.placement import Placement

        space = self.search_space
        return np.array(
            [space.contains(space.architecture(Placement.parse(p))) for p in placements]
        )

    def example(self) -> Codes:
        """A few placements of the space, drawn uniformly; to learn their costs."""
        return self.space.sample(np.random.default_rng(0), 4 * len(self.space.letters))
