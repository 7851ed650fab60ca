"""The files an export consists of, each written and then checked against the network.

A format is one function: it writes its files into a directory and compares what can
be read back from them with the network's own outputs. A format that does not agree
raises `ExportError`, and there is no export.
"""

import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable, Collection
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from nas.data.preprocessing import Preprocessing
from nas.exporting.format import Format
from nas.exporting.onnx_metadata import complete
from search_spaces import Architecture, InputError
from search_spaces.parents import network_files

if TYPE_CHECKING:
    from collections.abc import Iterator

ARCHITECTURE = "architecture.yaml"
WEIGHTS = "model.safetensors"
PREPROCESSING = "preprocessing.json"
ONNX = "model.onnx"
PROGRAM = "model.pt2"

TOLERANCE = 1e-4
"""Largest allowed difference of logits, absolute and relative to the largest logit.

Our choice: other kernels (ONNX Runtime, a decomposed attention) reorder sums of
float32; 1e-6 is usual, 1e-4 does not change a prediction that is not a tie.
"""

CHECKED_BATCHES = (1, 2, 5)
"""Batch sizes of the check; not only the one with which the graph was traced."""


class ExportError(RuntimeError):
    """A written file does not do what the network does."""


@dataclass(frozen=True)
class Exported:
    """The network that is exported, in eval mode on the CPU.

    Attributes:
        architecture: Its architecture.
        model: The network.
        preprocessing: Of its images.
        plugins: Modules of the user whose functions may build the parent anew.
    """

    architecture: Architecture
    model: nn.Module
    preprocessing: Preprocessing
    plugins: tuple[str, ...] = ()

    def example(self, batch: int) -> Tensor:
        """Fixed network inputs ``(batch, channels, height, width)``."""
        generator = torch.Generator().manual_seed(batch)
        size = self.architecture.image_size
        shape = (batch, self.architecture.in_channels, size, size)
        return torch.randn(shape, generator=generator)

    def logits(self, batch: int) -> Tensor:
        """What the network says of :meth:`example`, ``(batch, classes)``."""
        if batch not in self._logits:
            with torch.no_grad():
                self._logits[batch] = self.model(self.example(batch))
        return self._logits[batch]

    @cached_property
    def _logits(self) -> dict[int, Tensor]:
        return {}

    @cached_property
    def program(self) -> Any:
        """The network as ``torch.export`` traces it, for any batch size.

        Traced once for all formats: it takes seconds. The memory layout must be planned
        for attention as matrix products, which is what the ONNX exporter makes of it:
        after the fused kernel's layout that fails on a view.
        """
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with torch.no_grad(), _quiet(), sdpa_kernel(SDPBackend.MATH):
            return torch.export.export(
                self.model,
                (self.example(2),),
                dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            )


def load_network(directory: Path, plugins: Collection[str] = ()) -> nn.Module:
    """Build a network from its YAML file and load its weights.

    Args:
        directory: Holds architecture.yaml and model.safetensors.
        plugins: Modules of the user whose functions may build a parent.

    Returns:
        The network in eval mode.

    Raises:
        InputError: A file is missing or does not fit.
    """
    architecture = Architecture.from_yaml(directory / ARCHITECTURE)
    return load_weights(architecture, directory / WEIGHTS, plugins)


def load_weights(
    architecture: Architecture, path: Path, plugins: Collection[str] = ()
) -> nn.Module:
    """Build a network and load its weights.

    Args:
        architecture: What to build.
        path: A safetensors file.
        plugins: Modules of the user whose functions may build a parent.

    Returns:
        The network in eval mode.

    Raises:
        InputError: The file is missing or its tensors do not fit.
    """
    if not path.is_file():
        raise InputError(
            f"{path} must hold the weights of {architecture.placement}, and is missing"
        )
    try:
        return network_files.load_network(architecture, path, plugins)
    except InputError as error:
        raise InputError(
            f"{path} must hold the weights of {architecture.placement}: {error}",
            hint=error.hint,
        ) from error


def write_yaml(directory: Path, exported: Exported) -> None:
    """Write architecture.yaml and preprocessing.json."""
    exported.architecture.to_yaml(directory / ARCHITECTURE)
    exported.preprocessing.to_json(directory / PREPROCESSING)
    if Architecture.from_yaml(directory / ARCHITECTURE) != exported.architecture:
        raise ExportError(f"{ARCHITECTURE} reads back as another architecture")
    if Preprocessing.from_json(directory / PREPROCESSING) != exported.preprocessing:
        raise ExportError(f"{PREPROCESSING} reads back as another preprocessing")


def write_safetensors(directory: Path, exported: Exported) -> None:
    """Write model.safetensors; the network rebuilt from it must agree exactly."""
    from safetensors.torch import save

    # Copies, because a parent may use one tensor under two names.
    named = network_files.network_tensors(exported.model).items()
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in named}
    # "pt" is what timm and the Hugging Face libraries look for. Written by ourselves,
    # because save_file makes a file that others may not read.
    (directory / WEIGHTS).write_bytes(save(tensors, metadata={"format": "pt"}))
    rebuilt = load_weights(exported.architecture, directory / WEIGHTS, exported.plugins)
    _compare(WEIGHTS, exported, rebuilt, tolerance=0.0)


def write_pt2(directory: Path, exported: Exported) -> None:
    """Write a torch.export program for any batch size."""
    with _quiet():
        torch.export.save(exported.program, directory / PROGRAM)
        loaded = torch.export.load(directory / PROGRAM).module()
    _compare(PROGRAM, exported, loaded)


def write_onnx(directory: Path, exported: Exported) -> None:
    """Write an ONNX graph for any batch size and run it in ONNX Runtime."""
    import onnxruntime
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with _quiet(), sdpa_kernel(SDPBackend.MATH):  # attention becomes matrix products
        program = torch.onnx.export(
            exported.program,
            dynamo=True,
            input_names=["images"],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise ExportError("PyTorch made no ONNX graph")
        program.save(directory / ONNX)
    complete(directory / ONNX, exported)
    session = onnxruntime.InferenceSession(
        directory / ONNX, providers=["CPUExecutionProvider"]
    )

    def run(images: Tensor) -> Tensor:
        (logits,) = session.run(["logits"], {"images": images.numpy()})
        return torch.from_numpy(logits)

    _compare(ONNX, exported, run)


def write_timm(directory: Path, exported: Exported) -> None:
    """Write config.json and the module, then build the network through timm."""
    import timm

    from nas.exporting.timm_module import MODULE, write_timm

    write_timm(directory, exported)
    path = directory / f"{MODULE}.py"
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None:
        raise ExportError(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    known = sys.modules.get(MODULE)
    sys.modules[MODULE] = module  # where timm looks for an entry point's module
    try:
        with _quiet():
            spec.loader.exec_module(module)
            model = timm.create_model(f"local-dir:{directory}", pretrained=True)
    finally:
        del sys.modules[MODULE]
        if known is not None:
            sys.modules[MODULE] = known
    _compare("config.json", exported, model.eval(), tolerance=0.0)


WRITERS: dict[Format, Callable[[Path, Exported], None]] = {
    Format.YAML: write_yaml,
    Format.SAFETENSORS: write_safetensors,
    Format.PT2: write_pt2,
    Format.ONNX: write_onnx,
    Format.TIMM: write_timm,
}
"""One function a format; architecture and weights come first."""

WRITTEN = {
    Format.YAML: ARCHITECTURE,
    Format.SAFETENSORS: WEIGHTS,
    Format.PT2: PROGRAM,
    Format.ONNX: ONNX,
    Format.TIMM: "timm's layout",
}
"""What each of them writes, in words."""


def _compare(
    name: str,
    exported: Exported,
    other: Callable[[Tensor], Tensor],
    tolerance: float = TOLERANCE,
) -> None:
    with torch.no_grad():
        for batch in CHECKED_BATCHES:
            images = exported.example(batch)
            expected, got = exported.logits(batch), other(images)
            if got.shape != expected.shape:
                raise ExportError(
                    f"{name}: a batch of {batch} gives {tuple(got.shape)} instead of "
                    f"{tuple(expected.shape)}"
                )
            difference = float((got - expected).abs().max())
            allowed = tolerance * max(1.0, float(expected.abs().max()))
            if not difference <= allowed:  # also catches NaN
                raise ExportError(
                    f"{name}: logits differ from the network's by {difference:.3g}, "
                    f"allowed is {allowed:.3g}"
                )


@contextmanager
def _quiet() -> "Iterator[None]":
    """Exporters warn and log about their own insides, which a user cannot change."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
