"""The figures of Park & Kim (ICLR 2022) for one network or several side by side.

Every function computes what will be seen from the details that evaluators return;
drawing is left to :mod:`nas.figures.paper.drawing`.
"""

from collections.abc import Callable, Mapping

from nas.figures.paper.by_depth import (
    cka_figures,
    fourier_figures,
    lesion_figures,
    variance_figures,
)
from nas.figures.paper.figure import Details, Figure
from nas.figures.paper.loss_surface import (
    density_figures,
    landscape_figures,
    spectrum_figures,
)
from nas.figures.paper.robustness import noise_figures, reliability_figures

Models = Mapping[str, Mapping[str, Details]]
"""Details by evaluator name, by name of the network."""

FIGURES: dict[str, Callable[[Mapping[str, Details]], list[Figure]]] = {
    "low_pass": fourier_figures,
    "feature_variance": variance_figures,
    "frequency_noise": noise_figures,
    "lesion": lesion_figures,
    "cka": cka_figures,
    "flatness": spectrum_figures,
    "hessian_trace": density_figures,
    "loss_landscape": landscape_figures,
    "calibration": reliability_figures,
}
"""Which figures each evaluator's details make."""


def paper_figures(models: Models) -> list[Figure]:
    """All figures that the given evaluations allow.

    Args:
        models: Networks in the order in which they are shown.

    Returns:
        One figure for each kind for which at least one network has details.
    """
    figures = []
    for evaluator, make in FIGURES.items():
        measured = {
            name: details[evaluator]
            for name, details in models.items()
            if evaluator in details
        }
        if measured:
            figures += make(measured)
    return figures
