"""Figures of the loss around the trained weights: Hessian spectra and landscapes."""

from collections.abc import Mapping, Sequence
from math import log10, sqrt

from evaluators.figures.figure import (
    Details,
    Figure,
    Image,
    Line,
    Panel,
    images_note,
)

_NUM_BINS = 40


def spectrum_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Hessian max eigenvalue spectra (Fig. 1c, 4): a density for each network.

    Args:
        measured: Details of ``flatness`` by network.

    Returns:
        ``hessian_spectrum``, all eigenvalues and the negative ones enlarged.
    """
    values = {
        name: [e for batch in details["minibatches"] for e in batch["eigenvalues"]]
        for name, details in measured.items()
    }
    pooled = [value for some in values.values() for value in some]
    panels = [
        _histogram("top eigenvalues by magnitude", values, min(pooled), max(pooled))
    ]
    negative = {name: [v for v in some if v < 0] for name, some in values.items()}
    if any(negative.values()):
        low = min(v for some in negative.values() for v in some)
        totals = {name: len(some) for name, some in values.items()}
        panels.append(_histogram("negative ones", negative, low, 0.0, totals))
    counts = sorted({len(details["minibatches"]) for details in measured.values()})
    note = (
        f"Hessian of NLL + L2; {' or '.join(map(str, counts))} mini-batches; "
        "density of all eigenvalues found"
    )
    return [Figure("hessian_spectrum", tuple(panels), len(panels), note=note)]


def _histogram(
    title: str,
    values: Mapping[str, Sequence[float]],
    low: float,
    high: float,
    totals: Mapping[str, int] | None = None,
) -> Panel:
    """Densities over common bins; of a part of the values if totals are given."""
    width = (high - low) / _NUM_BINS or 1.0
    edges = tuple(low + index * width for index in range(_NUM_BINS + 1))
    lines = []
    for name, some in values.items():
        counts = [0] * _NUM_BINS
        for value in some:
            counts[min(int((value - low) / width), _NUM_BINS - 1)] += 1
        total = (totals or {}).get(name, len(some)) or 1
        density = tuple(count / (total * width) for count in counts)
        lines.append(Line(name, edges, (*density, 0.0), style="steps"))
    return Panel(title, "eigenvalue", "density", tuple(lines))


def density_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """Spectral density of the whole Hessian, from stochastic Lanczos nodes.

    Args:
        measured: Details of ``hessian_trace`` by network.

    Returns:
        ``hessian_density``: the share of eigenvalues larger than each magnitude, which
        needs no smoothing, for both signs.
    """
    panels = []
    for sign, title in ((1, "positive eigenvalues"), (-1, "negative eigenvalues")):
        lines = []
        for name, details in measured.items():
            nodes, weights = details["density"]["nodes"], details["density"]["weights"]
            total = sum(weights) or 1.0
            tail = sorted(
                (sign * node, weight / total)
                for node, weight in zip(nodes, weights, strict=True)
                if sign * node > 0 and weight > 0
            )
            above, x, y = 0.0, [], []
            for node, weight in reversed(tail):
                above += weight
                x.append(node)
                y.append(log10(above))
            if x:
                lines.append(Line(name, tuple(x[::-1]), tuple(y[::-1]), style="steps"))
        if lines:
            panels.append(
                Panel(
                    title,
                    "magnitude",
                    "log10(share of larger ones)",
                    tuple(lines),
                    log_x=True,
                )
            )
    if not panels:
        return []
    return [
        Figure(
            "hessian_density",
            tuple(panels),
            len(panels),
            note="Hessian of the NLL, stochastic Lanczos",
        )
    ]


def landscape_figures(measured: Mapping[str, Details]) -> list[Figure]:
    """NLL and NLL + L2 around the trained weights (Fig. 1a, 3).

    Args:
        measured: Details of ``loss_landscape`` by network.

    Returns:
        ``loss_landscape``.
    """
    panels = []
    for title in ("NLL", "NLL + L2"):
        for name, details in measured.items():
            axis = tuple(details["axis"])
            grid = _total(details) if "+" in title else details["nll"]
            # Relative to the centre, on a scale that shows the valley and the walls.
            centre = details["centre_nll"]
            if "+" in title:
                centre += details["centre_l2"]
            if details["dimensions"] == 1:
                points = [
                    (x, value) for x, value in zip(axis, grid[0], strict=True) if value
                ]
                line = Line(
                    title,
                    tuple(x for x, _ in points),
                    tuple(value - centre for _, value in points),
                )
                panels.append(
                    Panel(name, "direction", f"{title} - centre (nats)", (line,))
                )
                continue
            values = tuple(
                tuple(None if v is None else _signed_root(v - centre) for v in row)
                for row in grid
            )
            panels.append(
                Panel(
                    name,
                    "direction 1",
                    "direction 2",
                    image=Image(axis, axis, values, f"√({title} - centre)"),
                )
            )
    variants = " or ".join(sorted({d["variant"] for d in measured.values()}))
    note = f"directions normalised: {variants}; {images_note(measured)}"
    return [Figure("loss_landscape", tuple(panels), len(measured), note=note)]


def _total(details: Details) -> list[list[float | None]]:
    return [
        [None if a is None or b is None else a + b for a, b in zip(x, y, strict=True)]
        for x, y in zip(details["nll"], details["l2"], strict=True)
    ]


def _signed_root(value: float) -> float:
    return sqrt(value) if value >= 0 else -sqrt(-value)
