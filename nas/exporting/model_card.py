"""The README.md of an export: what the model is, how good, and how to run it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from nas.exporting.format import Format
from nas.exporting.formats import (
    ARCHITECTURE,
    ONNX,
    PREPROCESSING,
    PROGRAM,
    WEIGHTS,
    Exported,
)
from nas.exporting.quantized import Quantized
from nas.exporting.timm_module import MODULE
from nas.ledger.held_out_results import TestResult
from nas.ledger.trial import Trial
from nas.pareto.table import format_value
from search_spaces.diagram import to_text
from search_spaces.kinds.block_kinds import block_kind
from search_spaces.networks.parent_backbone import ParentBackbone

_READ = """import json

import numpy as np
from PIL import Image, ImageOps

record = json.load(open("{preprocessing}"))
size = (record["image_size"],) * 2
image = Image.open("image.png").convert("{mode}")
image = ImageOps.fit(image, size, Image.BICUBIC)  # centre crop
pixels = np.asarray(image, np.float32).reshape(*size, -1) / 255
pixels = (pixels - record["mean"]) / record["std"]
images = pixels.transpose(2, 0, 1)[None].astype(np.float32)  # (1, channels, h, w)"""

_RUN = {
    Format.PT2: """import torch

network = torch.export.load("{program}").module()
logits = network(torch.from_numpy(images)).detach().numpy()""",
    Format.ONNX: """import onnxruntime

session = onnxruntime.InferenceSession("{onnx}")
(logits,) = session.run(["logits"], {{"images": images}})""",
    Format.TIMM: """import sys; sys.path.append("."); import {module}  # registers it
import timm
import torch

network = timm.create_model("local-dir:.", pretrained=True).eval()
with torch.no_grad():
    logits = network(torch.from_numpy(images)).numpy()""",
}

_NEEDS = {
    Format.PT2: "torch alone",
    Format.ONNX: "ONNX Runtime alone",
    Format.TIMM: "timm alone",
}

_NAS = """from nas import load_export

network, preprocessing = load_export(".")
pixels = preprocessing.open_images(["image.png"])
logits = network(preprocessing(pixels)).detach().numpy()"""

_NAME = 'print(record["class_names"][int(logits.argmax())])'


@dataclass(frozen=True)
class Origin:
    """Where an exported model comes from.

    Attributes:
        study: Name of the study.
        trial: The trial.
        reason: Why this trial was exported, e.g. "best accuracy".
        data: The ``data`` section of the study's config.
        recipe: The ``training`` section that the network was trained with; empty if it
            was not trained.
        fingerprint: Of the images, by ``Dataset.fingerprint``.
        num_images: Number of images by split.
        reproduced: Validation accuracy of the exported weights, measured at export;
            ``None`` if the study does not record one.
        versions: Version by package.
        tested: How the network did on the test images, if they were looked at.
        made: How the network came about, if not by training from scratch.
        license: Licence of the weights, as the hub spells it; ``""`` if nobody said.
        judged: What a model of all trials makes of this one's luck, in a sentence;
            ``""`` if there are too few.
        quantized: What became of it in 8-bit integers, if that was asked for.
    """

    study: str
    trial: Trial
    reason: str
    data: dict[str, Any]
    recipe: dict[str, Any]
    fingerprint: str
    num_images: dict[str, int]
    reproduced: float | None
    versions: dict[str, str]
    tested: TestResult | None = None
    made: str = ""
    quantized: Quantized | None = None
    license: str = ""
    judged: str = ""


def model_card(exported: Exported, origin: Origin, formats: Sequence[Format]) -> str:
    """Write the card.

    Args:
        exported: The network.
        origin: Where it comes from.
        formats: What was written beside it.

    Returns:
        Markdown with the YAML header that model hubs read.
    """
    architecture, trial = exported.architecture, origin.trial
    head = {
        **({"license": origin.license} if origin.license else {}),
        "library_name": "timm" if Format.TIMM in formats else "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "alternet"],
        "model-index": [{"name": _title(exported), "results": _results(origin)}],
    }
    names = exported.preprocessing.class_names
    parts = [
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---",
        f"# {_title(exported)}",
        *_introduction(exported, origin),
        f"```text\n{_plain_picture(exported)}\n```",
        "## Results",
        _metric_table(trial, origin.tested),
        _reproduction(origin),
        *_eight_bits(origin.quantized),
        "## Intended use",
        _intended_use(exported, origin),
        "## Origin",
        _bullets(
            {
                "study": origin.study,
                "trial": f"{trial.number} ({origin.reason})",
                "architecture": f"`{architecture.id}`, see `{ARCHITECTURE}`",
                "seed": trial.seed,
                **({"epochs": trial.epochs} if origin.recipe else {}),
                "made with": ", ".join(f"{k} {v}" for k, v in origin.versions.items()),
            }
        ),
        "## Data",
        _bullets(
            {
                **{k: v for k, v in origin.data.items() if v is not None},
                "images": ", ".join(f"{n} {k}" for k, n in origin.num_images.items()),
                "fingerprint": f"`{origin.fingerprint}`",
                "classes": ", ".join(names[:20]) + (", …" if len(names) > 20 else ""),
            }
        ),
        *(["## Recipe", _bullets(origin.recipe)] if origin.recipe else []),
        "## Use",
        f"Input: float32 `(batch, {architecture.in_channels}, "
        f"{architecture.image_size}, {architecture.image_size})`; any batch size. "
        f"`{PREPROCESSING}` says how to make it, and what the logits mean. Run the "
        "lines below in this directory, with an image of your own.",
        *_usage(exported, formats),
    ]
    return "\n\n".join(parts) + "\n"


def _title(exported: Exported) -> str:
    backbone, placement = exported.architecture.backbone, exported.architecture
    what = backbone.model if isinstance(backbone, ParentBackbone) else "AlterNet"
    return f"{what} {placement.placement}"


def _introduction(exported: Exported, origin: Origin) -> list[str]:
    architecture = exported.architecture
    kinds = [
        block_kind(letter) for letter in sorted(set(architecture.placement.letters))
    ]
    blocks = ", ".join(f"{kind.name} ({kind.letter})" for kind in kinds)
    backbone = architecture.backbone
    if isinstance(backbone, ParentBackbone):
        text = (
            f"The image classifier {backbone.model} in whose residual blocks a search "
            f"placed blocks of these kinds: {blocks}. C is the model's own block."
        )
    else:
        text = (
            f"An image classifier of blocks of these kinds, whose placement a search "
            f"found: {blocks}."
        )
    return [text, *([f"It is {origin.made}."] if origin.made else [])]


def _usage(exported: Exported, formats: Sequence[Format]) -> list[str]:
    mode = "L" if exported.preprocessing.in_channels == 1 else "RGB"
    files = {
        "preprocessing": PREPROCESSING,
        "program": PROGRAM,
        "onnx": ONNX,
        "module": MODULE,
        "mode": mode,
    }
    blocks = []
    for chosen in formats:
        if chosen in _RUN:
            code = f"{_READ}\n\n{_RUN[chosen]}\n{_NAME}".format(**files)
            blocks.append(
                f"### With {_NEEDS[chosen]} (and Pillow, NumPy)\n\n"
                f"```python\n{code}\n```"
            )
    blocks.append(
        f"### With alternet-nas, from `{ARCHITECTURE}` and `{WEIGHTS}`\n\n"
        f"```python\n{_NAS}\n"
        "print(preprocessing.class_names[int(logits.argmax())])\n```"
    )
    return blocks


def _plain_picture(exported: Exported) -> str:
    lines = to_text(exported.architecture.placement).plain.splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _metric_table(trial: Trial, tested: TestResult | None) -> str:
    from evaluators.registry import all_metrics

    known = all_metrics()
    lines = ["| metric | value | unit | better |", "| --- | ---: | --- | --- |"]
    for name, value in trial.metrics.items():
        unit, better = "", ""
        if name in known:
            unit = known[name].unit
            directions = {"maximize": "more", "minimize": "less"}
            better = directions.get(known[name].direction, "")
        text = format_value(value, trial.standard_errors.get(name))
        lines.append(f"| {name} | {text} | {unit} | {better} |")
    if tested is not None:
        text = format_value(tested.test_accuracy, tested.test_accuracy_se)
        lines.append(f"| test accuracy | {text} | fraction | more |")
        text = format_value(tested.test_nll)
        lines.append(f"| test NLL | {text} | nats | less |")
    return "\n".join(lines)


def _reproduction(origin: Origin) -> str:
    recorded = origin.trial.metrics.get("accuracy", math.nan)
    text = "Values are those the study recorded, on the validation images."
    if (tested := origin.tested) is not None:
        when = f", {tested.looked}" if tested.looked else ""
        text = (
            "Values are those the study recorded, on the validation images, by which "
            f"the network was chosen; those named test on the {tested.num_images} test "
            f"images, which were looked at once, afterwards{when}."
        )
    if origin.reproduced is None:
        return text
    return (
        f"{text} The exported weights reproduce its accuracy: {origin.reproduced!r}, "
        f"recorded {recorded!r}."
    )


def _results(origin: Origin) -> list[dict[str, Any]]:
    """Metrics in the form that leaderboards read (``model-index``)."""
    name = str(origin.data.get("name", "images"))

    def on(split: str, values: Mapping[str, float | None]) -> dict[str, Any]:
        found = {k: v for k, v in values.items() if v is not None and math.isfinite(v)}
        return {
            "task": {"type": "image-classification"},
            "dataset": {"name": name, "type": name, "split": split},
            "metrics": [
                {"type": kind, "value": float(value)} for kind, value in found.items()
            ],
        }

    metrics = origin.trial.metrics
    results = [
        on("validation", {k: metrics.get(k) for k in ("accuracy", "nll", "ece")})
    ]
    if (tested := origin.tested) is not None:
        values = {"accuracy": tested.test_accuracy, "nll": tested.test_nll}
        results.append(on("test", values))
    return [one for one in results if one["metrics"]]


def _intended_use(exported: Exported, origin: Origin) -> str:
    number = len(exported.preprocessing.class_names)
    chosen = (
        "the test images, which chose nothing, say more"
        if origin.tested
        else "it has not been looked at on test images"
    )
    licence = (
        f"The weights are under the licence {origin.license}."
        if origin.license
        else "Nobody has said under which licence the weights are; ask their owner."
    )
    return (
        f"It sorts images like those of its training data into {number} classes, and "
        "gives every image one of them, also an image of none. How it does on other "
        "images, cameras or groups of people was not measured. It was chosen by its "
        f"values on the validation images, which are therefore flattering; {chosen}. "
        f"{f'{origin.judged} ' if origin.judged else ''}"
        f"{licence} The code of `alternet-nas` is under Apache-2.0."
    )


def _eight_bits(quantized: Quantized | None) -> list[str]:
    if quantized is None:
        return []
    return [f"In 8-bit integers, {quantized.sentence()}. It runs like `{ONNX}`."]


def _bullets(items: dict[str, Any]) -> str:
    return "\n".join(f"- {key}: {value}" for key, value in items.items())
