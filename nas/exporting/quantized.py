"""The ONNX graph in 8-bit integers, calibrated on training images.

Static quantisation of ONNX Runtime: the ranges of all maps are those of some training
images. Weights have a scale for each output channel and use 7 of their 8 bits
(``reduce_range``), as ONNX Runtime advises for processors whose 8-bit products saturate
(AVX2 and AVX-512 without VNNI). An integer network is another network: its accuracy is
measured, and nothing but its inputs and outputs is compared with the float one.
"""

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from evaluators.sampling import mean_and_error
from nas.exporting.onnx_metadata import set_metadata

if TYPE_CHECKING:
    from evaluators.data import ImageSet
    from nas.exporting.formats import Exported

INT8 = "model.int8.onnx"

CALIBRATION_IMAGES = 256
"""Training images whose ranges are used (our choice: what runs in seconds)."""

_BATCH = 32


@dataclass(frozen=True)
class Quantized:
    """What became of the network in 8 bits.

    Attributes:
        accuracy: Share of the validation images that the integer graph classifies
            rightly.
        accuracy_se: Its standard error.
        float_accuracy: That of the float graph on the same images, in ONNX Runtime.
        agreement: Share of these images on which both give the same class.
        num_images: Validation images.
        calibration_images: Training images behind the ranges.
        bytes: Size of the file.
        float_bytes: Size of the float graph's file.
    """

    accuracy: float
    accuracy_se: float
    float_accuracy: float
    agreement: float
    num_images: int
    calibration_images: int
    bytes: int
    float_bytes: int

    def sentence(self) -> str:
        """It in words."""
        return (
            f"{INT8}: validation accuracy {self.accuracy:.4f} (standard error "
            f"{self.accuracy_se:.4f}; in float {self.float_accuracy:.4f}) on "
            f"{self.num_images} images, the same class for {self.agreement:.1%} of "
            f"them; {self.bytes / 1e6:.2f} MB instead of {self.float_bytes / 1e6:.2f}; "
            f"ranges from {self.calibration_images} training images"
        )


def write_int8(
    onnx_file: Path,
    exported: "Exported",
    train: "ImageSet",
    validation: "ImageSet",
    max_images: int | None = None,
) -> Quantized:
    """Quantise a graph and measure it.

    Args:
        onnx_file: The float graph; :data:`INT8` is written beside it.
        exported: The network, for the metadata of the file.
        train: Images for the ranges.
        validation: Images for the accuracy.
        max_images: Validation images that are used; all if ``None``.

    Returns:
        What was measured.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    cpu = torch.device("cpu")
    images = (x.numpy() for x, _ in train.batches(_BATCH, cpu, CALIBRATION_IMAGES))
    target = onnx_file.with_name(INT8)
    level = logging.getLogger().level
    with tempfile.TemporaryDirectory() as directory:
        prepared = Path(directory) / "prepared.onnx"
        logging.getLogger().setLevel(logging.ERROR)  # it advises what was just done
        try:
            quant_pre_process(onnx_file, prepared, skip_symbolic_shape=True)
            quantization.quantize_static(
                prepared,
                target,
                _reader(quantization, images),
                per_channel=True,
                reduce_range=True,
            )
        finally:
            logging.getLogger().setLevel(level)
    model = onnx.load(target)
    set_metadata(model, exported)
    onnx.save(model, target)
    right, float_right, same = [], [], []
    integer, floating = _session(target), _session(onnx_file)
    for x, labels in validation.batches(_BATCH, cpu, max_images):
        ours, theirs = (_classes(one, x) for one in (integer, floating))
        right.append(ours == labels)
        float_right.append(theirs == labels)
        same.append(ours == theirs)
    accuracy, error = mean_and_error(torch.cat(right).double())
    return Quantized(
        accuracy,
        error,
        float(torch.cat(float_right).double().mean()),
        float(torch.cat(same).double().mean()),
        len(torch.cat(right)),
        min(CALIBRATION_IMAGES, len(train)),
        target.stat().st_size,
        onnx_file.stat().st_size,
    )


def _reader(quantization: Any, images: Iterator[Any]) -> Any:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            batch = next(images, None)
            return None if batch is None else {"images": batch}

    return Reader()


def _session(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def _classes(session: Any, images: torch.Tensor) -> torch.Tensor:
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    return torch.from_numpy(logits).argmax(dim=1)
