"""A block library that a cluster teaches: the slots spread over tasks.

Each block learns alone from the parent's own maps, so it is the same block whichever
others are taught beside it. A task leaves its blocks where an interrupted fit leaves
them, and the search finds them there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nas.config import SearchConfig
from nas.plugins import import_plugins
from nas.scoring.block_library import Key
from nas.scoring.finetune_data import FineTuneData
from nas.scoring.library_fitting import teach_blocks
from nas.scoring.parent_space import parent_config, read_parent, replacements
from nas.scoring.trained_parent import read_trained

if TYPE_CHECKING:
    from nas.scoring.training import DataParallelWorker

MOST_TASKS = 8
"""Where ``resources.max_concurrent`` says nothing. Our choice: each task runs the whole
parent, which is a seventh of the time of teaching all slots of a ResNet-50
(benchmarks/library_memory.py)."""


@dataclass(frozen=True)
class TeachSlots:
    """Teaches the blocks of some slots; can be interrupted, and goes on.

    Attributes:
        config: Of the search, the parent's slots as its space.
        keys: The blocks, by stage, block and letter.
        directory: Of the library.
        study: Of the search, where it has trained the parent.
    """

    config: SearchConfig
    keys: tuple[Key, ...]
    directory: Path
    study: Path

    @property
    def name(self) -> str:
        """What a message calls it."""
        slots = dict.fromkeys(f"{stage}.{block}" for stage, block, _ in self.keys)
        return f"the blocks of {', '.join(slots)}"

    def __call__(
        self,
        data: FineTuneData,
        gpus: float,
        tell: Callable[[str], None],
        worker: "DataParallelWorker | None" = None,
    ) -> None:
        """Do it.

        Args:
            data: The images.
            gpus: GPUs reserved for it.
            tell: Is told of every epoch.
            worker: Not used: a block is taught by one process.
        """
        from nas.scoring.from_scratch import default_device

        import_plugins(self.config.plugins)
        images = data.images
        trains = parent_config(self.config).train
        parent = (
            read_trained(images, self.study)
            if trains
            else read_parent(self.config, images)
        )
        known = replacements(self.config.space.make(*images.shape))
        wanted = {key: known[key] for key in self.keys}
        device = default_device() if gpus > 0 else None
        teach_blocks(
            parent,
            wanted,
            images,
            self.config,
            self.directory,
            tell=lambda line: tell(f"{self.name}: {line}"),
            device=device,
        )


def is_spread(config: SearchConfig) -> bool:
    """Whether a library is taught in tasks, and not by the process of the search.

    Args:
        config: Of the search.
    """
    wanted = config.resources
    return wanted.address != "local" or wanted.gpus_per_trial > 0


def library_tasks(
    config: SearchConfig, missing: Sequence[Key], directory: Path, study: Path
) -> list[TeachSlots]:
    """What a cluster does of a library.

    Args:
        config: Of the search.
        missing: Blocks that are not taught.
        directory: Of the library.
        study: Of the search.

    Returns:
        Tasks of about equal length: neighbouring slots, whose maps are of one size, are
        in different ones.
    """
    slots = sorted({key[:2] for key in missing})
    number = min(config.resources.max_concurrent or MOST_TASKS, len(slots))
    parts = [slots[start::number] for start in range(number)]
    return [
        TeachSlots(
            config,
            tuple(key for key in missing if key[:2] in part),
            directory.absolute(),
            study.absolute(),
        )
        for part in parts
    ]
