"""Figures of the loss around the trained weights: Hessian spectra and landscapes."""

from collections.abc import Mapping, Sequence
from math import log10, sqrt

from nas.figures.paper.figure import (
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
        grids = {name: _rises(details, title) for name, details in measured.items()}
        seen = [
            v for grid in grids.values() for row in grid for v in row if v is not None
        ]
        limits = (min(seen), max(seen)) if seen else None  # one scale for all networks
        for name, grid in grids.items():
            axis = tuple(measured[name]["axis"])
            if measured[name]["dimensions"] == 1:
                points = [
                    (x, v) for x, v in zip(axis, grid[0], strict=True) if v is not None
                ]
                line = Line(
                    title, tuple(x for x, _ in points), tuple(v for _, v in points)
                )
                label = f"signed √({title} - centre)"
                panels.append(Panel(name, "direction", label, (line,)))
            else:
                image = Image(axis, axis, grid, f"signed √({title} - centre)", limits)
                panels.append(Panel(name, "direction 1", "direction 2", image=image))
    variants = " or ".join(sorted({d["variant"] for d in measured.values()}))
    note = f"directions normalised: {variants}; {images_note(measured)}"
    return [Figure("loss_landscape", tuple(panels), len(measured), note=note)]


def _rises(details: Details, title: str) -> tuple[tuple[float | None, ...], ...]:
    """Signed root of the rise over the centre: shows the valley and the walls."""
    with_l2 = "+" in title
    centre = details["centre_nll"] + (details["centre_l2"] if with_l2 else 0.0)

    def rise(nll: float | None, l2: float | None) -> float | None:
        if nll is None or l2 is None:
            return None
        value = nll + (l2 if with_l2 else 0.0) - centre
        return sqrt(value) if value >= 0 else -sqrt(-value)

    return tuple(
        tuple(rise(nll, l2) for nll, l2 in zip(*rows, strict=True))
        for rows in zip(details["nll"], details["l2"], strict=True)
    )
