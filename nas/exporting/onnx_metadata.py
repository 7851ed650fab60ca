"""What an ONNX file says about itself: its batch axis, classes and normalisation."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.exporting.formats import Exported

BATCH = "batch"

STEPS = (
    "short side resized to image_size (bicubic), centre cropped to a square; pixels "
    "divided by 255; mean subtracted and divided by std, channel by channel; float32 "
    "(batch, channels, height, width)"
)


def metadata(exported: "Exported") -> dict[str, str]:
    """The properties of the file; lists are JSON.

    Args:
        exported: The network.
    """
    preprocessing = exported.preprocessing
    return {
        "class_names": json.dumps(list(preprocessing.class_names), ensure_ascii=False),
        "image_size": str(preprocessing.image_size),
        "channels": str(preprocessing.in_channels),
        "mean": json.dumps(list(preprocessing.mean)),
        "std": json.dumps(list(preprocessing.std)),
        "preprocessing": STEPS,
        "placement": str(exported.architecture.placement),
        "architecture_id": exported.architecture.id,
    }


def complete(path: Path, exported: "Exported") -> None:
    """Name the batch axis of a written graph, and add :func:`metadata`.

    Args:
        path: The file; its first axis of input and output may have any name.
        exported: The network.
    """
    import onnx

    model = onnx.load(path)
    traced = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    if traced:
        symbol = re.compile(rf"\b{re.escape(traced)}\b")
        for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
            for axis in value.type.tensor_type.shape.dim:
                if axis.dim_param:
                    axis.dim_param = symbol.sub(BATCH, axis.dim_param)
    set_metadata(model, exported)
    onnx.save(model, path)


def set_metadata(model: Any, exported: "Exported") -> None:
    """Write :func:`metadata` into a model in memory, in the place of what is there.

    Args:
        model: An ``onnx.ModelProto``.
        exported: The network.
    """
    import onnx

    onnx.helper.set_model_props(model, metadata(exported))
