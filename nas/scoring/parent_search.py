"""What the scorers that start from a trained parent share.

A parent, the space of its placements, and the blocks that enter it. The parent is
known at once, or (``parent.train``) only after the search has trained it: its slots are
known all the same.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from nas.config import SearchConfig
from nas.data.datasets import Dataset, load_dataset
from nas.scoring.block_library import BlockLibrary, Key
from nas.scoring.finetune_data import FineTuneData
from nas.scoring.library_fitting import (
    check_library,
    fit_library,
    missing_blocks,
    read_library,
)
from nas.scoring.library_tasks import TeachSlots, is_spread, library_tasks
from nas.scoring.parent_space import (
    normalisation_note,
    parent_config,
    read_parent,
    replacements,
    with_parent,
)
from nas.scoring.replacement import Replacement, drawn_blocks
from nas.scoring.scorer import Step
from nas.scoring.trained_parent import parent_step, read_trained, untrained_parent
from nas.terminal import say
from search_spaces.architecture import Architecture
from search_spaces.block_spec import BlockSpec
from search_spaces.errors import InputError
from search_spaces.parents.parent import Parent
from search_spaces.spaces.space import SearchSpace

LIBRARY = "library"
"""Directory of the library inside a study that names no other."""


class ParentSearch:
    """A parent and what may enter it.

    Attributes:
        config: With the parent's slots as its space.
        images: All images.
        parent: The parent; with drawn weights until :meth:`prepare` if the search
            trains it.
        space: Its placements.
        wanted: Shapes of the blocks that may enter, by stage, block and letter.

    Args:
        config: Has a section ``parent``.
        quiet: Show no progress while the images are read.
        replacement: Where the blocks come from.

    Raises:
        InputError: The parent or its library cannot be used.
    """

    def __init__(
        self, config: SearchConfig, quiet: bool, replacement: Replacement
    ) -> None:
        wanted = parent_config(config)
        if wanted.is_untrained and not quiet:
            # Allowed: how a score behaves where nothing was learned is a control.
            say(
                f"warning: the parent {wanted.model} is untrained, its weights are "
                "drawn: name them in parent.weights, or set parent.pretrained",
                err=True,
            )
        self.images: Dataset = load_dataset(config.data, quiet=quiet)
        self.parent: Parent = (
            untrained_parent(config, self.images)
            if wanted.train
            else read_parent(config, self.images)
        )
        note = normalisation_note(wanted, self.parent.model, config.data)
        if note and not quiet:
            say(note, err=True)
        self.config = with_parent(config, self.parent)
        self.space: SearchSpace = self.config.space.make(*self.images.shape)
        self.wanted: dict[Key, BlockSpec] = replacements(self.space)
        self._replacement = replacement
        self._trains = wanted.train

        path = wanted.library.path
        if path is not None and not wanted.train and replacement == "library":
            # A library of another parent, of other images or settings, is told before
            # anything is written.
            check_library(
                self.parent,
                self.wanted,
                self.config,
                Path(path),
                self.images.fingerprint,
            )

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Fingerprints of the parent and the images."""
        known = {} if self._trains else {"parent": self.parent.fingerprint}
        return {**known, "data_fingerprint": self.images.fingerprint}

    def steps(self, study: Path) -> Iterator[Step]:
        """The training of the parent, if that is asked for.

        Args:
            study: The study directory.
        """
        if self._trains:
            yield parent_step(self.config, study)

    def data(self) -> FineTuneData:
        """Images and the parent's fingerprint, on the machines where trials run."""
        seen = self.images.for_trials(self.config.resources.address)
        return FineTuneData(seen, self.parent.fingerprint)

    def tasks(self, study: Path) -> list[TeachSlots]:
        """What a cluster does of the library before :meth:`prepare`.

        Args:
            study: The study directory.

        Raises:
            InputError: The library is of another parent, or cannot be read.
        """
        if self._replacement == "random" or not is_spread(self.config):
            return []
        if self._trains:
            self.parent = read_trained(self.images, study)
        directory = library_directory(self.config, study)
        missing = missing_blocks(
            self.parent, self.wanted, self.config, directory, self.images.fingerprint
        )
        return library_tasks(self.config, missing, directory, study)

    def prepare(self, study: Path, tell: Callable[[str], None]) -> dict[Key, nn.Module]:
        """Have the parent and its blocks.

        Args:
            study: The study directory.
            tell: Is told of progress.

        Returns:
            Blocks in eval mode by stage, block and letter.

        Raises:
            InputError: The library is of another parent, or cannot be read.
        """
        if self._trains:
            self.parent = read_trained(self.images, study)
        if self._replacement == "random":
            return drawn_blocks(self.parent, self.wanted, self.config.seed)
        return dict(self.library(study, tell).blocks)

    def library(self, study: Path, tell: Callable[[str], None]) -> BlockLibrary:
        """The library, with the blocks that it lacked.

        Args:
            study: The study directory.
            tell: Is told of progress.

        Raises:
            InputError: It is of another parent, or cannot be read.
        """
        directory = library_directory(self.config, study)
        return fit_library(
            self.parent, self.wanted, self.images, self.config, directory, tell=tell
        )


def library_directory(config: SearchConfig, study: Path) -> Path:
    """Where the library of a search is.

    Args:
        config: Of the search.
        study: Its directory.
    """
    path = parent_config(config).library.path
    return study / LIBRARY if path is None else Path(path)


def network_of(
    architecture: Architecture,
    config: SearchConfig,
    images: Dataset,
    study: Path,
    fingerprint: str | None,
    replacement: Replacement,
    *,
    seed: int,
) -> nn.Module:
    """The network of a placement, before any fine-tuning, from what a study holds.

    Args:
        architecture: A placement of the parent.
        config: Of the search, the parent's slots as its space.
        images: Give classes, channels and size.
        study: Directory of the search, prepared.
        fingerprint: What the parent must have, if that is known; its library knows
            whose blocks it holds in any case.
        replacement: Where the blocks of other kinds come from.
        seed: Of those that are drawn.

    Returns:
        The network in eval mode; all-``C`` is the parent bit for bit.

    Raises:
        InputError: Parent or library are not those of the search any more.
    """
    trains = parent_config(config).train
    parent = read_trained(images, study) if trains else read_parent(config, images)
    if fingerprint not in (None, parent.fingerprint):
        raise InputError(
            f"the weights of the parent {parent.source} have changed since the search "
            f"began: its fingerprint was {fingerprint} and is {parent.fingerprint}"
        )
    stages = architecture.block_specs
    wanted = {(s.stage, s.block, s.letter): s for s in stages if s.letter != "C"}
    if replacement == "random":
        return parent.network(architecture, drawn_blocks(parent, wanted, seed))
    directory = library_directory(config, study)
    return parent.network(
        architecture, read_library(parent, wanted, config, directory).blocks
    )
