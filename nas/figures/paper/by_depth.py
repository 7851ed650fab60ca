"""Figures that go through a network block by block.

Position 0 is the network's first feature map and position i the output of block i; grey
spans are MSA blocks, dotted lines are ends of stages.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nas.figures.paper.figure import (
    Details,
    Figure,
    Image,
    Line,
    Panel,
    images_note,
)

_KINDS = {"conv": "Conv", "msa": "MSA", "mlp": "MLP", "other": "other"}


def _depth(blocks: Sequence[Details]) -> dict[str, Any]:
    """Grey spans of the MSA blocks and borders of the stages."""
    shaded = tuple(
        (index, index + 1)
        for index, block in enumerate(blocks)
        if block["kind"] == "msa"
    )
    borders = tuple(
        index
        for index in range(1, len(blocks))
        if blocks[index]["stage"] != blocks[index - 1]["stage"]
    )
    return {"shaded": shaded, "borders": borders}


def _by_depth(
    label: str, blocks: Sequence[Details], key: Callable[[Details], tuple[float, float]]
) -> Line:
    """One value for each block, at its middle, with its standard error."""
    pairs = [
        (index + 0.5, *key(block))
        for index, block in enumerate(blocks)
        if not any(value is None for value in key(block))
    ]
    return Line(
        label,
        tuple(pair[0] for pair in pairs),
        tuple(pair[1] for pair in pairs),
        tuple(pair[2] for pair in pairs),
    )


def fourier_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Fourier curves by block (Fig. 2a, 8) and the highest frequency by depth (8).

    Args:
        measured: Details of ``low_pass`` by network.

    Returns:
        ``fourier`` and ``fourier_depth``.
    """
    curves, depths, changes = [], [], []
    for name, details in measured.items():
        blocks = details["blocks"]
        lines = [("first map", blocks[0]["before"], blocks[0]["frequencies"])] + [
            (block["name"], block["after"], block["frequencies"]) for block in blocks
        ]
        curves.append(
            Panel(
                name,
                "frequency (π)",
                "Δ log amplitude (nats)",
                tuple(
                    Line(label, tuple(x), tuple(y), rank=index / max(1, len(blocks)))
                    for index, (label, y, x) in enumerate(lines)
                ),
            )
        )
        first = blocks[0]["before"][blocks[0]["read"]]
        depths.append(
            Panel(
                name,
                "depth (blocks)",
                "Δ log amplitude at the top (nats)",
                (
                    Line(
                        "output",
                        tuple(range(len(blocks) + 1)),
                        (first, *(b["after"][b["read"]] for b in blocks)),
                        (0.0, *(b["after_se"][b["read"]] for b in blocks)),
                    ),
                ),
                **_depth(blocks),
            )
        )
        change_lines = [_by_depth("stream", blocks, _pair("change"))]
        if any("branch_change" in block for block in blocks):
            change_lines.append(_by_depth("branch", blocks, _pair("branch_change")))
        changes.append(
            Panel(
                name,
                "depth (blocks)",
                "change by the block (nats)",
                tuple(change_lines),
                zero=True,
                **_depth(blocks),
            )
        )
    variants = {d["variant"] for d in measured.values()}
    top = "π" if variants == {"nyquist"} else "the notebook's last index"
    note = f"relative to frequency 0; top frequency: {top}; {images_note(measured)}"
    number = len(measured)
    return [
        Figure("fourier", tuple(curves), number, True, note),
        Figure(
            "fourier_depth",
            tuple(depths + changes),
            number,
            True,
            f"grey: MSA blocks; {note}",
        ),
    ]


def _pair(name: str) -> Callable[[Details], tuple[float, float]]:
    return lambda block: (block.get(name), block.get(f"{name}_se"))  # type: ignore[return-value]


def variance_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Feature-map variance by depth (Fig. 9) and each block's change of it.

    Args:
        measured: Details of ``feature_variance`` by network.

    Returns:
        ``variance_depth``.
    """
    levels, changes = [], []
    for name, details in measured.items():
        blocks = details["blocks"]
        levels.append(
            Panel(
                name,
                "depth (blocks)",
                "feature-map variance",
                (
                    Line(
                        "output",
                        tuple(range(len(blocks) + 1)),
                        (blocks[0]["before"], *(b["after"] for b in blocks)),
                        (0.0, *(b["after_se"] for b in blocks)),
                    ),
                ),
                **_depth(blocks),
            )
        )
        changes.append(
            Panel(
                name,
                "depth (blocks)",
                "log(variance after / before)",
                (_by_depth("stream", blocks, _pair("change")),),
                zero=True,
                **_depth(blocks),
            )
        )
    return [
        Figure(
            "variance_depth",
            tuple(levels + changes),
            len(measured),
            True,
            f"grey: MSA blocks; variance over positions; {images_note(measured)}",
        )
    ]


def lesion_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Accuracy lost without each block (Fig. 10).

    Args:
        measured: Details of ``lesion`` by network.

    Returns:
        ``lesion``.
    """
    panels = []
    for name, details in measured.items():
        blocks = details["blocks"]
        lines = []
        for kind, label in _KINDS.items():
            members = [i for i, block in enumerate(blocks) if block["kind"] == kind]
            if members:
                lines.append(
                    Line(
                        label,
                        tuple(i + 0.5 for i in members),
                        tuple(-100 * blocks[i]["drop"] for i in members),
                        tuple(100 * blocks[i]["drop_se"] for i in members),
                        style="bars",
                    )
                )
        panels.append(
            Panel(
                name,
                "removed block (depth)",
                "change of accuracy (points)",
                tuple(lines),
                zero=True,
                **_depth(blocks),
            )
        )
    note = f"grey: MSA blocks; without retraining; {images_note(measured)}"
    return [Figure("lesion", tuple(panels), len(panels), True, note)]


def cka_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Similarity of all pairs of blocks (Fig. D.3).

    Args:
        measured: Details of ``cka`` by network.

    Returns:
        ``cka``.
    """
    panels = []
    for name, details in measured.items():
        places = tuple(range(1, len(details["cka"]) + 1))
        values = tuple(tuple(row) for row in details["cka"])
        panels.append(
            Panel(
                name,
                "block",
                "block",
                image=Image(places, places, values, "CKA", (0.0, 1.0)),
            )
        )
    note = f"linear, unbiased, mini-batches; {images_note(measured)}"
    return [Figure("cka", tuple(panels), len(panels), note=note)]
