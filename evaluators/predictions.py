"""What a network predicts for a split, and what every forward pass must fulfil."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from evaluators.data import ImageSet
from evaluators.evaluator import EvaluationError

_NUM_CHECKED = 4
"""Images that are run twice to see whether the forward pass is deterministic."""


@dataclass(frozen=True)
class Predictions:
    """Logits and labels of a split.

    Attributes:
        logits: ``(images, classes)``, float32 on the CPU.
        labels: ``(images,)``, int64 on the CPU.
    """

    logits: Tensor
    labels: Tensor

    def correct(self) -> Tensor:
        """Whether the largest logit is the label's, ``(images,)`` float64 of 0 or 1."""
        return (self.logits.argmax(dim=1) == self.labels).double()

    def losses(self) -> Tensor:
        """Negative log likelihood of each label, ``(images,)`` float64, nats."""
        return functional.cross_entropy(
            self.logits.double(), self.labels, reduction="none"
        )


def check_logits(logits: Tensor, labels: Tensor) -> None:
    """Check that a network's output can be scored.

    Args:
        logits: Output of the network.
        labels: Labels of the same images.

    Raises:
        EvaluationError: Not ``(batch, classes)``, a label has no logit, or a value is
            not finite.
    """
    if logits.ndim != 2 or len(logits) != len(labels):
        raise EvaluationError(
            f"the network must return logits (batch, classes), got "
            f"{tuple(logits.shape)} for {len(labels)} images"
        )
    if len(labels) and int(labels.max()) >= logits.shape[1]:
        raise EvaluationError(
            f"the network has {logits.shape[1]} classes, "
            f"got the label {int(labels.max())}"
        )
    if not logits.isfinite().all():
        raise EvaluationError("the network returned logits that are not finite")


def predict(
    model: nn.Module,
    images: ImageSet,
    *,
    device: torch.device,
    batch_size: int,
    max_images: int | None = None,
    flip: bool = False,
) -> Predictions:
    """Run a network on a split, in the order of ``ImageSet.batches``.

    Args:
        model: Network in eval mode.
        images: The split.
        device: Where the model is.
        batch_size: Images in one forward pass.
        max_images: Number of images; all if ``None``.
        flip: Take the mean of the logits of each image and of its mirror image.

    Returns:
        Logits and labels.

    Raises:
        EvaluationError: There are fewer than 2 images, the forward pass is not
            deterministic, or the logits cannot be scored.
    """
    check_enough(images, max_images)
    logits, labels = [], []
    with torch.no_grad():
        check_deterministic(model, images.batch(slice(0, _NUM_CHECKED), device)[0])
        for batch, batch_labels in images.batches(batch_size, device, max_images):
            outputs = model(batch)
            if flip:
                outputs = (outputs + model(batch.flip(-1))) / 2
            check_logits(outputs, batch_labels)
            logits.append(outputs.float().cpu())
            labels.append(batch_labels.cpu())
    return Predictions(torch.cat(logits), torch.cat(labels))


def check_enough(images: ImageSet, max_images: int | None, minimum: int = 2) -> None:
    """Check that there are enough images for a mean with a standard error.

    Args:
        images: The split.
        max_images: How many of them may be used; all if ``None``.
        minimum: How many are needed.

    Raises:
        EvaluationError: There are fewer.
    """
    num = len(images) if max_images is None else min(len(images), max_images)
    if num < minimum:
        raise EvaluationError(
            f"at least {minimum} images are needed for a standard error, got {num} "
            f"({len(images)} in the split, max_images={max_images})"
        )


def check_deterministic(model: nn.Module, batch: Tensor) -> None:
    """Check that two forward passes agree.

    Args:
        model: Network in eval mode.
        batch: A few images ``(batch, channels, height, width)``.

    Raises:
        EvaluationError: They differ by more than rounding (dropout left on, ...).
    """
    first, second = model(batch), model(batch)
    if not torch.allclose(first, second, rtol=1e-3, atol=1e-4, equal_nan=True):
        raise EvaluationError(
            "two forward passes on the same images differ by "
            f"{float((first - second).abs().max()):.3g}: a metric would be noise; "
            "turn off what is random in eval mode"
        )


def correct_predictions(model: nn.Module, batch: Tensor, labels: Tensor) -> Tensor:
    """Run a batch and say which predictions are right.

    Args:
        model: Network in eval mode.
        batch: ``(batch, channels, height, width)``.
        labels: ``(batch,)``.

    Returns:
        ``(batch,)`` of 0 or 1, float64 on the CPU.

    Raises:
        EvaluationError: The logits cannot be scored.
    """
    logits = model(batch)
    check_logits(logits, labels)
    return torch.eq(logits.argmax(dim=1), labels).double().cpu()
