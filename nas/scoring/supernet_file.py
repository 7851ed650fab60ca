"""One trained supernet on disk: its weights, and the scores of a walked space.

``<directory>/<seed>.safetensors`` holds the weights, ``<seed>.json`` the scores, and
while it is trained ``<seed>.pt`` its state. Each says what it was made of, and what was
made otherwise is not used.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from nas.config import SearchConfig
from nas.config.supernet import SupernetConfig
from nas.ledger.atomic_file import write_atomically
from nas.ledger.output_directory import output_directory
from nas.ledger.regular_file import read_regular
from nas.scoring.supernet_training import (
    drawn_supernet,
    supernet_recipe,
    train_supernet,
)
from nas.scoring.trial_run import TrialOutcome
from search_spaces.errors import InputError, one_line
from search_spaces.networks.supernet import Supernet
from search_spaces.spaces.space import SearchSpace
from search_spaces.spaces.space_supernet import supernet_specs

if TYPE_CHECKING:
    import torch

    from nas.data.datasets import Dataset
    from nas.scoring.supernet_scores import SupernetScores
    from nas.scoring.training import DataParallelWorker

FORMAT = "supernet/1"

_OF_SCORES = ("batchnorm", "calibration_images", "images")
"""Settings that the weights do not depend on, but the scores do."""

_NEITHER = ("supernets", "score", "path")

Listener = Callable[[str], None]
"""Is told in a line how far it has come."""


@dataclass(frozen=True)
class SupernetFile:
    """One supernet of a search.

    Attributes:
        config: Of the search.
        settings: The options of its section ``scoring``.
        space: Placements of an AlterNet.
        fingerprint: Of the images.
        seed: Of the supernet.
        directory: Where its files are.
    """

    config: SearchConfig
    settings: SupernetConfig
    space: SearchSpace
    fingerprint: str
    seed: int
    directory: Path

    @property
    def weights(self) -> Path:
        """The trained weights."""
        return self.directory / f"{self.seed}.safetensors"

    @property
    def scores_file(self) -> Path:
        """The scores of all placements, if they were walked."""
        return self.directory / f"{self.seed}.json"

    @property
    def checkpoint(self) -> Path:
        """The state of an unfinished training."""
        return self.directory / f"{self.seed}.pt"

    @property
    def made(self) -> str:
        """What the weights depend on, as text."""
        own = self.settings.model_dump(exclude={*_OF_SCORES, *_NEITHER})
        recipe = supernet_recipe(self.config.training, self.settings).model_dump()
        space = self.space
        blocks = [
            {letter: tuple(spec) for letter, spec in slot.items()}
            for slot in supernet_specs(space)
        ]
        images = (space.num_classes, space.in_channels, space.image_size)
        parts: list[Any] = [self.seed, self.fingerprint, own, recipe, blocks, images]
        if (data := self.config.data).mean is not None:
            parts.append((data.mean, data.std))
        return json.dumps(parts, sort_keys=True, default=str)

    @property
    def is_trained(self) -> bool:
        """Whether its weights are there.

        Raises:
            InputError: They were made otherwise, or cannot be read.
        """
        if not self.weights.is_file():
            return False
        try:
            with safe_open(self.weights, framework="pt") as file:
                metadata = file.metadata() or {}
        except (SafetensorError, OSError) as error:
            raise self._unreadable(error) from error
        if metadata.get("format") != FORMAT or metadata.get("made") != self.made:
            raise InputError(
                f"the supernet {self.weights} was made with other settings, images or "
                "another space than this search has; put them back, or choose another "
                "directory"
            )
        return True

    def _unreadable(self, error: Exception) -> InputError:
        text = one_line(error, 160)
        return InputError(f"{self.weights} must be a supernet of ours: {text}")

    def train(
        self,
        dataset: "Dataset",
        device: "torch.device | None" = None,
        tell: Listener = lambda _: None,
        worker: "DataParallelWorker | None" = None,
    ) -> None:
        """Train it, or go on with it; nothing if it is trained.

        Args:
            dataset: Its training images.
            device: Where to train; the CPU if ``None``.
            tell: Is told of every epoch.
            worker: Which one this process is of several that train it together; the
                first writes the files.

        Raises:
            InputError: There is one that was made otherwise.
            DivergedError: The loss is not finite.
        """
        if self.is_trained:
            return
        from nas.scoring.training import is_first

        speaks = is_first(worker)
        about = self.checkpoint.with_suffix(".pt.txt")
        if speaks:
            output_directory(self.directory, "the directory of supernets")
            if not about.is_file() or about.read_text(encoding="utf-8") != self.made:
                self.checkpoint.unlink(missing_ok=True)  # of other settings: anew
                write_atomically(about, self.made)
        if worker is not None:
            worker.wait()  # all continue from the same checkpoint, or from none
        recipe = supernet_recipe(self.config.training, self.settings)
        supernet = train_supernet(
            self.space,
            dataset,
            self.config.training,
            self.settings,
            seed=self.seed,
            device=device,
            checkpoint=self.checkpoint,
            worker=worker,
            watch=lambda one: tell(
                f"supernet {self.seed}: epoch {one.epoch} of {recipe.epochs}, "
                f"loss {one.train_loss:.3f}"
            ),
        )
        if not speaks:
            return
        tensors = {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in supernet.state_dict().items()
        }
        metadata = {"format": FORMAT, "made": self.made}
        write_atomically(self.weights, save(tensors, metadata))
        for leftover in (self.checkpoint, about):
            leftover.unlink(missing_ok=True)

    def load(self) -> Supernet:
        """Read the trained supernet.

        Returns:
            It, in eval mode, on the CPU.

        Raises:
            InputError: The file cannot be read.
        """
        supernet = drawn_supernet(self.space, self.seed)
        try:
            with safe_open(self.weights, framework="pt") as file:
                state = {name: file.get_tensor(name) for name in supernet.state_dict()}
            supernet.load_state_dict(state)
        except (SafetensorError, OSError, RuntimeError) as error:
            raise self._unreadable(error) from error
        return supernet.eval()

    def reader(
        self, dataset: "Dataset", device: "torch.device | None" = None
    ) -> "SupernetScores":
        """Reads placements off the trained supernet.

        Args:
            dataset: The images.
            device: Where to compute; the CPU if ``None``.
        """
        from nas.scoring.supernet_scores import SupernetScores

        return SupernetScores(
            self.load(),
            dataset,
            self.config.training,
            batchnorm=self.settings.batchnorm,
            calibration_images=self.settings.calibration_images,
            num_images=self.settings.images,
            seed=self.seed,
            device=device,
        )

    def walk(
        self,
        placements: Sequence[str],
        dataset: "Dataset",
        device: "torch.device | None" = None,
    ) -> None:
        """Score placements and write the scores down; nothing if they are there.

        Args:
            placements: Letters of all slots, without dashes.
            dataset: The images.
            device: Where to compute; the CPU if ``None``.
        """
        if set(placements) <= set(self.scores()):
            return
        found = self.reader(dataset, device).scores(placements)
        record = {
            "made": self._made_scores,
            "scores": {
                letters: [dict(one.metrics), dict(one.standard_errors)]
                for letters, one in found.items()
            },
        }
        write_atomically(self.scores_file, json.dumps(record))

    @property
    def _made_scores(self) -> list[Any]:
        return [self.made, self.settings.model_dump(include=set(_OF_SCORES))]

    def scores(self) -> Mapping[str, TrialOutcome]:
        """The scores that were written down; none if they were made otherwise."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(read_regular(self.scores_file))
            if record["made"] == self._made_scores:
                return {
                    letters: TrialOutcome(metrics, errors)
                    for letters, (metrics, errors) in record["scores"].items()
                }
        return {}
