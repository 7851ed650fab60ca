"""Figures of what noise does to predictions, and of how sure they are."""

from collections.abc import Mapping
from math import sqrt

from nas.figures.paper.figure import Details, Figure, Line, Panel, images_note


def noise_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Accuracy lost to noise by frequency (Fig. 2b), networks in one panel.

    Args:
        measured: Details of ``frequency_noise`` by network.

    Returns:
        ``frequency_noise``.
    """
    lines = tuple(
        Line(
            name,
            tuple((band["low"] + band["high"]) / 2 for band in details["bands"]),
            tuple(-100 * band["drop"] for band in details["bands"]),
            tuple(100 * band["drop_se"] for band in details["bands"]),
        )
        for name, details in measured.items()
    )
    panel = Panel(
        "noise in one band of frequencies",
        "frequency of the noise (π)",
        "change of accuracy (points)",
        lines,
        zero=True,
    )
    kinds = sorted({(d["variant"], d["strength"]) for d in measured.values()})
    note = ", ".join(f"{variant}, strength {strength:g}" for variant, strength in kinds)
    return [
        Figure("frequency_noise", (panel,), 1, note=f"{note}; {images_note(measured)}")
    ]


def reliability_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Accuracy against confidence (Fig. C.1).

    Args:
        measured: Details of ``calibration`` by network.

    Returns:
        ``reliability``.
    """
    lines = [Line("perfect", (0.0, 1.0), (0.0, 1.0))]
    for name, details in measured.items():
        bins = details["bins"]
        kept = [
            (confidence, accuracy, sqrt(accuracy * (1 - accuracy) / count))
            for count, confidence, accuracy in zip(
                bins["counts"], bins["confidence"], bins["accuracy"], strict=True
            )
            if count > 0
        ]
        x, y, error = (tuple(part) for part in zip(*kept, strict=True))
        lines.append(Line(name, x, y, error))
    panel = Panel("reliability", "confidence", "accuracy", tuple(lines))
    return [Figure("reliability", (panel,), 1, note=images_note(measured))]
