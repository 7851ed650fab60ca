"""Weights from a file into a network, without running anything from the file."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from search_spaces.errors import InputError, one_line, shown

WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema")
"""Keys under which the training scripts of timm, torchvision and others keep them."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a file.

    Args:
        path: A safetensors file, or what ``torch.save`` wrote; the latter is read with
            ``weights_only=True``, so that no code in it is run.

    Returns:
        Tensors by name. Wrappers (:data:`WRAPPERS`) and the prefix ``module.`` of
        data-parallel training are taken off.

    Raises:
        InputError: The file cannot be read or holds no named tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"weights are a file of tensors; there is no {str(path)!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch cannot read, it also refuses
            found: Any = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # a damaged pickle raises whatever its bytes lead to
        reason = one_line(error, 160)
        if isinstance(error, UnpicklingError):  # torch's advice is to run its code
            reason = "it holds other objects than tensors (save model.state_dict())"
        elif not isinstance(error, SafetensorError | OSError | RuntimeError):
            reason = f"it is damaged ({type(error).__name__})"
        raise InputError(
            f"weights are a safetensors file, or tensors that torch.save wrote and "
            f"torch.load(weights_only=True) reads; {path}: {reason}"
        ) from error
    for key in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found:
        raise InputError(
            f"weights are named tensors; {path} holds {shown(type(found).__name__)}"
        )
    wrong = [key for key, value in found.items() if not isinstance(value, Tensor)]
    if wrong:
        raise InputError(
            f"weights are named tensors; {path} holds other things, such as "
            f"{shown(wrong[0])}"
        )
    if all(str(key).startswith("module.") for key in found):
        found = {str(key).removeprefix("module."): v for key, v in found.items()}
    return {str(key): value for key, value in found.items()}


def fit_weights(
    model: nn.Module, weights: Mapping[str, Tensor], where: str | Path
) -> None:
    """Load tensors into a network.

    Args:
        model: The network.
        weights: A tensor of the right shape for every one of the network's.
        where: How messages name the source.

    Raises:
        InputError: A tensor is missing, left over or of another shape; the first one is
            named with both shapes. The network is not changed.
    """
    wanted = model.state_dict()
    optional = "num_batches_tracked"  # old files lack these counters
    rule = f"the weights of {where} must fit the network tensor by tensor"
    for name, tensor in wanted.items():
        if name not in weights:
            if name.endswith(optional):
                continue
            raise InputError(
                f"{rule}: {name} is wanted with shape {list(tensor.shape)}, and is "
                "missing"
            )
        if weights[name].shape != tensor.shape:
            raise InputError(
                f"{rule}: {name} is wanted with shape {list(tensor.shape)}, got "
                f"{list(weights[name].shape)}"
            )
    for name, tensor in weights.items():
        if name not in wanted:
            raise InputError(
                f"{rule}: {name} with shape {list(tensor.shape)} is in the file, but "
                "not in the network"
            )
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            kind = "quantised" if tensor.is_quantized else str(tensor.layout)
            raise InputError(
                f"{rule}: {name} is {'without values' if tensor.is_meta else kind}; "
                "dense tensors are read"
            )
    model.load_state_dict(weights, strict=False)
