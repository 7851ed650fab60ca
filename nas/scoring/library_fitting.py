"""Teach every replacement block to imitate the block it replaces.

The parent runs once per batch, and each of its slots teaches the slot's blocks in a
hook, when the block has just run: one slot's maps are in memory at a time, whatever the
number of slots. Each block is trained alone (its input is the parent's own map), so a
library can be continued block by block, and does not depend on the others in it.

BatchNorm statistics stay as this training leaves them: averaged anew over 1,000 plain
images they scored clearly worse in a trial.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas.config import SearchConfig
from nas.config.data import MOMENTS
from nas.config.parent import LibraryConfig
from nas.data.augmentation import make_augmentation
from nas.data.datasets import Dataset
from nas.ledger.output_directory import output_directory
from nas.scoring.block_library import LIBRARY_FILE, BlockLibrary, Key, name_of
from nas.scoring.images_at_once import images_at_once
from nas.scoring.parent_space import parent_config
from nas.scoring.taught_block import TaughtBlock
from nas.scoring.training import DivergedError
from search_spaces.block_spec import BlockSpec
from search_spaces.blocks.strided_conv import safe_conv_gradients
from search_spaces.errors import InputError
from search_spaces.networks.parent_backbone import ParentBackbone
from search_spaces.parents.parent import Parent

HELD_OUT = 2_000
"""Validation images on which the errors are measured (our choice: a second or two)."""

Listener = Callable[[str], None]
"""Is told in a line how far it has come."""


def fit_library(
    parent: Parent,
    wanted: Mapping[Key, BlockSpec],
    dataset: Dataset,
    config: SearchConfig,
    directory: Path,
    *,
    tell: Listener = lambda _: None,
    device: torch.device | None = None,
) -> BlockLibrary:
    """Fit the blocks that a library lacks, and write it.

    What is interrupted goes on at the last epoch that was finished, with the same
    result as without the interruption.

    Args:
        parent: The trained network; it is not changed.
        wanted: Shapes of the blocks by stage, block and letter.
        dataset: Its training images teach, its validation images measure.
        config: Augmentation, seed, and section ``parent``.
        directory: Of the library.
        tell: Is told of every epoch.
        device: Where to compute; the CPU if ``None``.

    Returns:
        The library of exactly the wanted blocks.

    Raises:
        InputError: The directory holds a library of another parent or of other images,
            or cannot be written.
        DivergedError: A block's error is not finite; nothing is written.
    """
    device = device or torch.device("cpu")
    made = _all_made(parent, wanted, config)
    known = _known(parent, wanted, made, directory, dataset.fingerprint)
    missing = {key: spec for key, spec in wanted.items() if key not in known.blocks}
    if not missing:
        return known
    output_directory(directory, "the directory of the block library")
    fits = teach_blocks(
        parent,
        missing,
        dataset,
        config,
        directory,
        tell=lambda line: tell(f"block library: {line}"),
        device=device,
    )
    errors = _errors(parent, fits, dataset, device)
    lost = [name_of(key) for key, error in errors.items() if not math.isfinite(error)]
    if lost:
        raise DivergedError(
            f"the blocks {', '.join(lost[:5])} of the library diverged; a smaller "
            "parent.library.learning_rate may help"
        )
    library = BlockLibrary(
        parent.fingerprint,
        {**known.blocks, **{key: fit.block.cpu().eval() for key, fit in fits.items()}},
        {**known.errors, **errors},
        made,
        {**known.images, **dict.fromkeys(missing, dataset.fingerprint)},
    )
    parent.model.cpu()
    library.save(directory)
    for fit in fits.values():
        fit.forget()
    return library


def teach_blocks(
    parent: Parent,
    wanted: Mapping[Key, BlockSpec],
    dataset: Dataset,
    config: SearchConfig,
    directory: Path,
    *,
    tell: Listener = lambda _: None,
    device: torch.device | None = None,
) -> "dict[Key, TaughtBlock]":
    """Teach blocks, and leave each in a file of its own for :func:`fit_library`.

    Args:
        parent: The trained network; it is not changed, but stays on the device.
        wanted: Shapes of the blocks by stage, block and letter.
        dataset: Its training images teach.
        config: Augmentation, seed, and section ``parent``.
        directory: Of the library.
        tell: Is told of every epoch.
        device: Where to compute; the CPU if ``None``.
    """
    device = device or torch.device("cpu")
    settings = parent_config(config).library
    made = _all_made(parent, wanted, config)
    fits = {
        key: TaughtBlock(parent, key, spec, made[key], config.seed, settings, directory)
        for key, spec in wanted.items()
    }
    parent.model.to(device)
    for fit in fits.values():
        fit.to(device)
    for epoch in range(settings.epochs):
        due = {key: fit for key, fit in fits.items() if fit.epoch == epoch}
        if due:
            _teach(parent, due, dataset, config, settings, epoch, device)
            for fit in due.values():
                fit.keep()
            tell(f"epoch {epoch + 1} of {settings.epochs}")
    return fits


def missing_blocks(
    parent: Parent,
    wanted: Mapping[Key, BlockSpec],
    config: SearchConfig,
    directory: Path,
    images: str | None = None,
) -> list[Key]:
    """Blocks that a library does not hold.

    Args:
        parent: The trained network.
        wanted: Shapes of the blocks by stage, block and letter.
        config: Section ``parent`` says how they are fitted.
        directory: Of the library.
        images: Fingerprint of the images that teach, if it is to be compared.

    Raises:
        InputError: It is of another parent or of other images, or cannot be read.
    """
    made = _all_made(parent, wanted, config)
    known = _known(parent, wanted, made, directory, images)
    return [key for key in wanted if key not in known.blocks]


def _known(
    parent: Parent,
    wanted: Mapping[Key, BlockSpec],
    made: dict[Key, str],
    directory: Path,
    images: str | None,
) -> BlockLibrary:
    if (directory / LIBRARY_FILE).is_file():
        return BlockLibrary.load(directory, parent, wanted, made, images)
    return BlockLibrary(parent.fingerprint, {}, {})


def check_library(
    parent: Parent,
    wanted: Mapping[Key, BlockSpec],
    config: SearchConfig,
    directory: Path,
    images: str,
) -> None:
    """Refuse a library whose blocks are not what a search asks for.

    Args:
        parent: The trained network.
        wanted: Shapes of the blocks by stage, block and letter.
        config: Section ``parent`` says how they are fitted.
        directory: Of the library; it may lack blocks, or not be there yet.
        images: Fingerprint of the images that teach.

    Raises:
        InputError: It is of another parent or of other images, was fitted otherwise, or
            cannot be read.
    """
    made = _all_made(parent, wanted, config)
    _known(parent, wanted, made, directory, images)
    if not (directory / LIBRARY_FILE).is_file():
        return
    if other := BlockLibrary.made_otherwise(directory, made):
        raise InputError(
            f"the block library {directory} was fitted with other settings of "
            f"parent.library, other sizes or another augmentation ({len(other)} of its "
            "blocks); put them back, or choose another directory"
        )


def read_library(
    parent: Parent,
    wanted: Mapping[Key, BlockSpec],
    config: SearchConfig,
    directory: Path,
) -> BlockLibrary:
    """Read a library that has been fitted.

    Args:
        parent: The trained network.
        wanted: Shapes of the blocks by stage, block and letter.
        config: As when it was fitted.
        directory: Of the library.

    Raises:
        InputError: There is none, it is of another parent, or it lacks a block.
    """
    made = _all_made(parent, wanted, config)
    library = BlockLibrary.load(directory, parent, wanted, made)
    lacking = [name_of(key) for key in wanted if key not in library.blocks]
    if lacking:
        raise InputError(
            f"the block library {directory} lacks {', '.join(lacking[:5])}, or has it "
            "fitted with other settings"
        )
    return library


def _all_made(
    parent: Parent, wanted: Mapping[Key, BlockSpec], config: SearchConfig
) -> dict[Key, str]:
    settings = parent_config(config).library
    return {
        key: _made(spec, settings, config) + _followed_by(parent, key)
        for key, spec in wanted.items()
    }


def _followed_by(parent: Parent, key: Key) -> str:
    """The activation after a block, which is not seen in its shapes."""
    backbone = parent.backbone
    if not isinstance(backbone, ParentBackbone):
        return ""
    activation = backbone.slots[parent.slots.index(key[:2])].activation
    return f" then {activation}" if activation else ""


def _made(spec: BlockSpec, settings: LibraryConfig, config: SearchConfig) -> str:
    """What a block depends on besides the parent: shapes, settings, images, seed."""
    own = settings.model_dump(exclude={"path"})
    data = config.data.model_dump(exclude={"download", "cache", "root"})
    # What no config had is not part of what older libraries say of themselves.
    data = {k: v for k, v in data.items() if v is not None or k not in MOMENTS}
    names = [
        "crop_padding", "crop_border", "random_resized_crop", "horizontal_flip",
        "randaugment",
    ]  # fmt: skip
    if config.training.randaugment:
        names += ["randaugment_library", "randaugment_std"]
    augmentation = {name: getattr(config.training, name) for name in names}
    return repr((tuple(spec), own, sorted(data.items()), augmentation, config.seed))


@contextmanager
def _listening(
    parent: Parent, listen: Callable[[int, Tensor, Tensor], None]
) -> Iterator[None]:
    """Hear every slot's input and output while the parent runs.

    The input is copied before the block runs: it may work in place.
    """
    inputs: dict[int, Tensor] = {}

    def before(slot: int, _: nn.Module, args: tuple[Any, ...]) -> None:
        inputs[slot] = args[0].detach().clone()

    def after(slot: int, _: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        listen(slot, inputs.pop(slot), output.detach())

    handles = []
    for slot, block in enumerate(parent.own_blocks()):
        handles.append(block.register_forward_pre_hook(partial(before, slot)))
        handles.append(block.register_forward_hook(partial(after, slot)))
    try:
        with torch.no_grad():
            yield
    finally:
        for handle in handles:
            handle.remove()


def _by_slot(parent: Parent, fits: Mapping[Key, TaughtBlock]) -> dict[int, list[Key]]:
    found: dict[int, list[Key]] = {}
    for key in fits:
        found.setdefault(parent.slots.index(key[:2]), []).append(key)
    return found


def _teach(
    parent: Parent,
    fits: Mapping[Key, TaughtBlock],
    dataset: Dataset,
    config: SearchConfig,
    settings: LibraryConfig,
    epoch: int,
    device: torch.device,
) -> None:
    augment = make_augmentation(config.training, dataset.image_size)
    images = dataset.image_set(dataset.train, stored=augment is not None)
    generator = torch.Generator().manual_seed(config.seed + epoch)
    order = torch.randperm(len(images), generator=generator)[: settings.images]
    # Two images at least: BatchNorm cannot learn from one.
    batches = [b for b in torch.split(order, settings.batch_size) if len(b) > 1]
    by_slot = _by_slot(parent, fits)
    rate, number = settings.learning_rate, 0

    def learn(slot: int, inside: Tensor, outside: Tensor) -> None:
        for key in by_slot.get(slot, ()):
            fits[key].step(inside, outside, rate, number)

    for fit in fits.values():
        fit.block.train()
    with safe_conv_gradients(device), _listening(parent, learn):
        for index, rows in enumerate(batches):
            number = epoch * len(batches) + index
            done = (epoch + index / len(batches)) / settings.epochs
            rate = settings.learning_rate * (1 + math.cos(math.pi * done)) / 2
            pixels = images.pixels(rows, device)
            if augment is not None:
                pixels = augment(pixels, generator)
            parent.model(images.normalise(pixels))


def _errors(
    parent: Parent,
    fits: Mapping[Key, TaughtBlock],
    dataset: Dataset,
    device: torch.device,
) -> dict[Key, float]:
    """Relative error of each block on held-out images."""
    by_slot = _by_slot(parent, fits)
    missed = dict.fromkeys(fits, 0.0)
    # Of each slot: number of pixels, sums and sums of squares of each channel.
    sums: dict[int, tuple[int, Tensor, Tensor]] = {}

    def measure(slot: int, inside: Tensor, outside: Tensor) -> None:
        if slot not in by_slot:
            return
        for key in by_slot[slot]:
            gap = fits[key].block(inside) - outside
            missed[key] += float(gap.double().square().sum())
        maps = outside.double()
        number = maps.numel() // maps.shape[1]
        total, squares = maps.sum((0, 2, 3)), maps.square().sum((0, 2, 3))
        if slot in sums:
            known = sums[slot]
            number, total, squares = (
                number + known[0],
                total + known[1],
                squares + known[2],
            )
        sums[slot] = number, total, squares

    for fit in fits.values():
        fit.block.eval()
    held_out = dataset.image_set(dataset.validation)
    size = images_at_once(dataset.image_size)
    with _listening(parent, measure):
        for images, _ in held_out.batches(size, device, HELD_OUT):
            parent.model(images)
    found = {}
    for slot, keys in by_slot.items():
        number, total, squares = sums[slot]
        spread = max(float((squares - total.square() / number).sum()), 1e-12)
        found.update({key: missed[key] / spread for key in keys})
    return found
