"""Low-pass behaviour of every block: what it does to high spatial frequencies.

Park & Kim (ICLR 2022, section 2.2, Fig. 8; fourier_analysis.ipynb): the relative
log amplitude of a feature map at frequency f is the natural logarithm of the
amplitude of its 2-D Fourier transform on the diagonal (f, f), averaged over images
and channels, minus the same at frequency 0. A block that lowers it at the highest
frequency is a low-pass filter.

Differences from the notebook, both on purpose:

* Its "1.0 pi" is index ``height / 2 - 1`` for even heights, i.e. 0.5 pi on a 4x4 map,
  0.75 pi on 8x8, 0.875 pi on 16x16: not comparable between stages. The default
  ``nyquist`` reads the real pi; ``paper`` reads the notebook's index. On odd heights no
  sample lies at pi and both read ``(height - 1) / 2``, whose frequency
  ``(1 - 1 / height) pi`` is in the details.
* Only the diagonal is computed, with one matrix product while the feature map passes a
  hook, instead of a full FFT of every stored map (12 to 23 times faster on a CPU:
  benchmarks/low_pass.py).

No sign is assumed: on trained nets MSAs lower the value, and so do most Convs after
the first stage, because their residual stream gains constant component.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from evaluators.blocks.block_statistics import measure_blocks
from evaluators.data import EvaluationData
from evaluators.evaluator import (
    Evaluation,
    EvaluationError,
    Evaluator,
    Metric,
    untouched,
)
from evaluators.options import require_at_least
from evaluators.sampling import mean_and_error
from search_spaces.kinds.block_kind import BranchKind
from search_spaces.networks.chain_of import chain_of

_EPSILON = 1e-6  # fourier_analysis.ipynb: log(|F| + 1e-6)
_SOURCE = (
    "Park & Kim 2022, sec. 2.2, Fig. 8; fourier_analysis.ipynb, but at the true Nyquist"
)


@lru_cache(maxsize=64)
def _waves(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """One-dimensional waves: all cosines, then the sines that are not zero.

    Frequency 0 and, for even sizes, pi have no imaginary part.

    Returns:
        ``(size, size)``: ``size // 2 + 1`` cosines and the rest sines.
    """
    position = torch.arange(size, dtype=torch.float64)
    # Products are reduced modulo the size first: exact phases for large maps too.
    cycles = (torch.arange(size // 2 + 1)[:, None] * position).remainder(size) / size
    phase = 2 * pi * cycles
    sines = phase[1 : (size + 1) // 2].sin()
    return torch.cat([phase.cos(), sines]).to(device, dtype)


@lru_cache(maxsize=64)
def _pixel_waves(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The same waves along the diagonal of a map: ``(size, size * size)``."""
    position = torch.arange(size, device=device)
    diagonal = (position[:, None] + position).remainder(size).flatten()
    return _waves(size, device, dtype)[:, diagonal].contiguous()


_FOLD_FROM = 20
"""Map size from which folding pays. Measured on a CPU: 1.9 times faster than the
product with all pixels at 32 px, 0.9 times at 16 px."""


def _fold(rows: list[Tensor], size: int, dim: int) -> Tensor:
    """Sum a map over its wrapped anti-diagonals.

    A diagonal frequency (k, k) turns with row + column alone, so all pixels with the
    same (row + column) mod size can be added before anything is transformed.

    Args:
        rows: The rows of the maps, in order, equal shapes.
        size: Height and width of the maps.
        dim: Dimension of a row tensor that holds the columns.

    Returns:
        A tensor of a row's shape.
    """
    shape = list(rows[0].shape)
    shape[dim] = 2 * size
    sheared = rows[0].new_zeros(shape)
    for index, row in enumerate(rows):
        sheared.narrow(dim, index, size).add_(row)
    return sheared.narrow(dim, 0, size).add_(sheared.narrow(dim, size, size))


def diagonal_frequencies(size: int) -> list[float]:
    """Frequencies at which a map of this size is sampled, in units of pi.

    Args:
        size: Height and width of the map.

    Returns:
        ``2 k / size`` for ``k = 0 .. size // 2``; the last is 1 for even sizes.
    """
    return [2 * k / size for k in range(size // 2 + 1)]


def log_amplitudes(feature_map: Tensor) -> Tensor:
    """Log amplitude of the diagonal frequencies, averaged over channels.

    Args:
        feature_map: ``(batch, channels, height, width)``, square.

    Returns:
        ``(batch, height // 2 + 1)``, natural logarithm.

    Raises:
        EvaluationError: The map is not square: it has no diagonal.
    """
    height, width = feature_map.shape[-2:]
    if height != width:
        raise EvaluationError(
            f"low_pass needs square feature maps, got {height}x{width}; "
            "evaluate the network on square images"
        )
    if not feature_map.dtype.is_floating_point or feature_map.dtype.itemsize < 4:
        feature_map = feature_map.float()
    waves = _transform(feature_map)
    num = height // 2 + 1
    amplitudes = waves[:num]
    amplitudes[1 : (height + 1) // 2].hypot_(waves[num:])
    return amplitudes.abs_().add_(_EPSILON).log_().mean(dim=2).T


def _transform(feature_map: Tensor) -> Tensor:
    """Products of a map with the waves of its diagonal.

    Args:
        feature_map: ``(batch, channels, height, height)``.

    Returns:
        ``(waves, batch, channels)``, contiguous. Waves come first because what follows
        takes some of them at a time: over contiguous memory it is twice as fast.
    """
    batch, channels, height, _ = feature_map.shape
    folds = height >= _FOLD_FROM
    make = _waves if folds else _pixel_waves
    waves = make(height, feature_map.device, feature_map.dtype)
    if feature_map.is_contiguous():
        if folds:
            columns = _fold(list(feature_map.unbind(2)), height, dim=2)
        else:
            columns = feature_map
        # One product: (waves, columns) @ (columns, batch * channels).
        product = waves @ columns.reshape(batch * channels, -1).T
        return product.view(-1, batch, channels)
    # A view of channels-last maps, which need not be copied either.
    last = feature_map.permute(0, 2, 3, 1)
    columns = (
        _fold(list(last.unbind(1)), height, dim=1) if folds else last.flatten(1, 2)
    )
    # (waves, columns) @ (batch, columns, channels) -> (batch, waves, channels)
    return (waves @ columns).transpose(0, 1).contiguous()


@dataclass(frozen=True)
class LowPass(Evaluator):
    """Change of the relative log amplitude at the highest frequency by each block.

    The stream metrics compare a block's output with its skip tensor (at stage
    transitions the shortcut's output, which has the output's size and channels).
    The branch metrics compare the residual branch alone with the skip tensor: on the
    stream the constant component that both kinds of block accumulate hides the
    operator's own filter. Blocks whose map is a single pixel have no frequency and
    are left out.

    Attributes:
        variant: ``nyquist`` reads pi; ``paper`` reads the notebook's last index.
        max_images: Images of the validation set. 512 put the worst block's level
            within 1 % of its value on 2000 images (measured on CIFAR-10 nets).
        batch_size: Images in a forward pass; changes nothing but speed.
        blocks: Module names by hand for models without adapter.
    """

    name: ClassVar[str] = "low_pass"
    cost_in_epochs: ClassVar[float | None] = 0.02
    metrics: ClassVar[tuple[Metric, ...]] = tuple(
        Metric(
            name=f"low_pass{level}{suffix}",
            unit="nats",
            direction="maximize",
            definition=(
                f"Minus the mean over {blocks} of the relative log amplitude at the "
                f"Nyquist frequency of {tensor} minus that of its skip tensor; "
                "positive: a low-pass filter"
            ),
            source=_SOURCE if not level else f"{_SOURCE}; the branch level is our own",
        )
        for level, tensor in (
            ("", "the block's output"),
            ("_branch", "the residual branch"),
        )
        for suffix, blocks in (
            ("", "all blocks"),
            ("_msa", "MSA blocks"),
            ("_conv", "Conv blocks"),
        )
    )

    variant: Literal["nyquist", "paper"] = "nyquist"
    max_images: int | None = 512
    batch_size: int = 128
    blocks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require_at_least(self, 2, max_images=self.max_images)
        require_at_least(self, 1, batch_size=self.batch_size)

    def evaluate(self, model: nn.Module, data: EvaluationData) -> Evaluation:
        """Measure every block; see the base class."""
        chain = chain_of(model, self.blocks)
        with untouched(model) as device:
            statistics = measure_blocks(
                model,
                chain,
                data,
                log_amplitudes,
                device=device,
                max_images=self.max_images,
                batch_size=self.batch_size,
            )
        stream: dict[int, Tensor] = {}
        branch: dict[int, Tensor] = {}
        rows: list[dict[str, Any]] = []
        for index, (block, values) in enumerate(
            zip(chain.blocks, statistics, strict=True)
        ):
            # Relative to frequency 0, image by image: (images, frequencies).
            before, after = (v - v[:, :1] for v in (values.before, values.after))
            frequencies = diagonal_frequencies(values.size)
            read = self._index(values.size)
            row: dict[str, Any] = {
                "name": block.name,
                "kind": block.kind,
                "stage": block.stage,
                "size": values.size,
                "frequencies": frequencies,
                "frequency": frequencies[read],
                "before": before.mean(0).tolist(),
                "after": after.mean(0).tolist(),
                "after_se": (after.std(0) / len(after) ** 0.5).tolist(),
                "read": read,
            }
            if values.size > 1:
                stream[index] = (after - before)[:, read]
                row["change"], row["change_se"] = mean_and_error(stream[index])
            if values.branch is not None:
                relative = values.branch - values.branch[:, :1]
                row["branch"] = relative.mean(0).tolist()
                if values.size > 1:
                    branch[index] = (relative - before)[:, read]
                    row["branch_change"], row["branch_change_se"] = mean_and_error(
                        branch[index]
                    )
            rows.append(row)

        metrics: dict[str, float] = {}
        errors: dict[str, float] = {}
        kinds: tuple[tuple[str, BranchKind], ...] = (("_msa", "msa"), ("_conv", "conv"))
        for prefix, changes in (("low_pass", stream), ("low_pass_branch", branch)):
            groups = {"": list(changes)} | {
                suffix: [i for i in chain.of_kind(kind) if i in changes]
                for suffix, kind in kinds
            }
            for suffix, indices in groups.items():
                if indices:
                    per_image = -torch.stack([changes[i] for i in indices]).mean(0)
                    name = prefix + suffix
                    metrics[name], errors[name] = mean_and_error(per_image)
        return Evaluation(
            metrics=metrics,
            standard_errors=errors,
            details={
                "variant": self.variant,
                "num_images": len(statistics[0].after) if statistics else 0,
                "blocks": rows,
            },
        )

    def _index(self, size: int) -> int:
        """Index of the highest frequency under the chosen variant."""
        if self.variant == "paper" and size % 2 == 0:
            return size // 2 - 1
        return size // 2
