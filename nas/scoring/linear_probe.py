"""A trained CNN for other classes: a new last layer, everything before it as it was.

The weights people have are mostly ImageNet's, and their images have other classes. A
linear probe (Alain & Bengio 2016, arXiv 1610.01644) is the least that makes such a
network answer about them: multinomial logistic regression on what goes into its last
layer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas.config.parent import ParentConfig
from nas.data.datasets import Dataset
from search_spaces.errors import InputError, one_line
from search_spaces.parents.load_parent import parent_network
from search_spaces.parents.weights import fit_weights, read_weights

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
"""Values of ``C`` (the inverse of the L2 penalty) that are tried, on standardised
features."""

_HELD_OUT = 0.2
"""Share of the images on which they are compared. Validation images are not touched:
placements are scored on them."""

_BATCH = 64


@dataclass(frozen=True)
class LinearProbe:
    """A network with a new last layer.

    Attributes:
        model: The network in eval mode.
        layer: Name of the layer that is new.
        old_classes: Logits it had, or ``None`` where the weights have no such layer.
        strength: The chosen value of ``C``.
        num_images: Training images it was fitted to.
        accuracy: Of the validation images.
    """

    model: nn.Module
    layer: str
    old_classes: int | None
    strength: float
    num_images: int
    accuracy: float


def fit_probe(
    wanted: ParentConfig,
    dataset: Dataset,
    *,
    max_images: int,
    seed: int,
    tell: Callable[[str], None],
) -> LinearProbe:
    """Give a trained CNN a last layer for the classes of a data set.

    Args:
        wanted: The network and its weights.
        dataset: Its training images teach the layer, its validation images judge it.
        max_images: Most training images; as they are, not augmented.
        seed: Of what is held out to choose the penalty.
        tell: Is told of progress.

    Returns:
        The network.

    Raises:
        InputError: There is no such network, it does not end in a linear layer, or the
            weights before that layer do not fit.
    """
    model, layer, old = _with_new_layer(wanted, dataset)
    train = dataset.image_set(dataset.train)
    tell(f"features of {min(max_images, len(train.labels))} training images")
    features, labels = _features(model, layer, train.batches, max_images)
    tell("fitting the last layer")
    head = model.get_submodule(layer)
    assert isinstance(head, nn.Linear)
    linear, strength = _fit(
        features, labels, dataset.num_classes, seed, bias=head.bias is not None
    )
    head.load_state_dict(linear.state_dict())
    held_out = dataset.image_set(dataset.validation)
    features, truth = _features(model, layer, held_out.batches, None)
    with torch.no_grad():
        right = head(torch.from_numpy(features)).argmax(1).numpy() == truth
    return LinearProbe(model, layer, old, strength, len(labels), float(right.mean()))


def _with_new_layer(
    wanted: ParentConfig, dataset: Dataset
) -> tuple[nn.Module, str, int | None]:
    if wanted.model is None or Path(wanted.model).exists():
        raise InputError(
            "a linear probe is for timm:NAME, torchvision:NAME or module:function in "
            f"parent.model; got {wanted.model!r}"
        )
    weights = None if wanted.weights is None else read_weights(wanted.weights)
    if wanted.is_untrained:
        raise InputError(
            "a linear probe reads the features of a trained network: name its "
            "weights in parent.weights, or set parent.pretrained"
        )
    model = parent_network(
        wanted.model,
        num_classes=dataset.num_classes,
        in_channels=dataset.in_channels,
        image_size=dataset.image_size,
        pretrained=wanted.pretrained,
    )
    layer = _answering_layer(model.eval(), wanted.model, dataset)
    head = model.get_submodule(layer)
    assert isinstance(head, nn.Linear)
    old: int | None = head.out_features
    if weights is not None:
        kept = dict(weights)
        of_layer = kept.pop(f"{layer}.weight", None)
        kept.pop(f"{layer}.bias", None)
        old = None if of_layer is None else of_layer.shape[0]
        own = {f"{layer}.{name}": one for name, one in head.state_dict().items()}
        fit_weights(model, kept | own, wanted.weights or "")
    bias = head.bias is not None  # or the weights would not fit the network
    new = nn.Linear(head.in_features, dataset.num_classes, bias=bias)
    model.set_submodule(layer, new)
    return model.eval(), layer, old


def _answering_layer(model: nn.Module, source: str, dataset: Dataset) -> str:
    """Name of the linear layer whose output is the logits."""
    outputs: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(
            lambda _, __, output, name=name: outputs.update({name: output})
        )
        for name, module in model.named_modules()
        if type(module) is nn.Linear
    ]
    size = dataset.image_size
    try:
        with torch.no_grad():
            logits = model(torch.zeros(2, dataset.in_channels, size, size))
    except Exception as error:  # the network may be anybody's code
        raise InputError(
            f"{source} cannot take images of {dataset.in_channels} channels and {size} "
            f"px: {one_line(error, 160)}"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    for name, output in outputs.items():
        if output is logits:
            return name
    raise InputError(
        "a linear probe replaces the last torch.nn.Linear, whose output is the logits; "
        f"{source} has none"
    )


def _features(
    model: nn.Module,
    layer: str,
    batches: Callable[..., Iterator[tuple[Tensor, Tensor]]],
    max_images: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What goes into a layer, ``(images, features)``, and the labels ``(images,)``."""
    seen: list[Tensor] = []
    labels: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0].detach())
    )
    try:
        with torch.inference_mode():
            for images, truth in batches(_BATCH, torch.device("cpu"), max_images):
                model(images)
                labels.append(truth)
    finally:
        handle.remove()
    return torch.cat(seen).numpy(), torch.cat(labels).numpy()


def _fit(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    num_classes: int,
    seed: int,
    *,
    bias: bool,
) -> tuple[nn.Linear, float]:
    """Logistic regression on standardised features, as a layer on plain ones.

    Without a bias the features are scaled and not centred.
    """
    from sklearn.linear_model import LogisticRegression

    if (missing := num_classes - len(set(labels.tolist()))) > 0:
        raise InputError(
            f"a linear probe needs training images of every class; {missing} of "
            f"{num_classes} have none among the first {len(labels)} drawn"
        )
    mean = features.mean(axis=0) * bias
    spread = features.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    standard = (features - mean) / spread
    order = np.random.default_rng(seed).permutation(len(labels))
    count = int(len(labels) * _HELD_OUT)
    held_out, rest = order[:count], order[count:]

    def fitted(strength: float, rows: NDArray[np.int64]) -> LogisticRegression:
        found = LogisticRegression(C=strength, max_iter=300, fit_intercept=bias)
        return found.fit(standard[rows], labels[rows])

    strength = max(
        STRENGTHS,
        key=lambda one: fitted(one, rest).score(standard[held_out], labels[held_out]),
    )
    best = fitted(strength, order)
    coefficients, offsets = best.coef_, best.intercept_
    if num_classes == 2:  # sklearn gives the second logit's lead alone
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        offsets = np.concatenate([-offsets / 2, offsets / 2])
    weight = coefficients / spread
    layer = nn.Linear(features.shape[1], num_classes, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        if bias:
            layer.bias.copy_(torch.from_numpy(offsets - weight @ mean))
    return layer, strength
