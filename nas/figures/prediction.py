"""The prediction as a picture: predicted against measured, left out of the model.

:func:`prediction_figure` computes what is shown, :func:`draw` only draws it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nas.figures.figure_file import require_figure_file
from nas.prediction.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]

SHOWN = 400
"""Placements of the right panel, from the best on (our choice)."""


@dataclass(frozen=True, eq=False)
class PredictionFigure:
    """Everything that is drawn.

    Attributes:
        title: The metric and how well it is predicted.
        label: Name of the metric.
        predicted: Left-out prediction of each trained placement.
        arms: Half widths of their 95% intervals.
        measured: Their measured means.
        noise: 95% half width of the noise of a measured mean around a perfect
            prediction, or ``None`` if it is unknown.
        ranked: Predicted mean of each placement of the space, best first.
        low: Lower ends of their intervals.
        high: Upper ends.
        trained: Which of them were trained.
        ranked_measured: Measured means; NaN where not trained.
    """

    title: str
    label: str
    predicted: Floats
    arms: Floats
    measured: Floats
    noise: float | None
    ranked: Floats
    low: Floats
    high: Floats
    trained: npt.NDArray[np.bool_]
    ranked_measured: Floats


def prediction_figure(prediction: Prediction) -> PredictionFigure:
    """Compute the figure of a prediction.

    Args:
        prediction: The prediction.

    Returns:
        What :func:`draw` needs.
    """
    left_out = prediction.left_out
    table = prediction.table.head(SHOWN)
    trust = prediction.trust
    ceiling = "" if trust.ceiling is None else f" of {trust.ceiling.kendall:.2f}"
    tau = f"{trust.left_out.kendall:.2f}{ceiling}"
    return PredictionFigure(
        f"{prediction.metric}: left-out Kendall tau {tau}",
        prediction.metric,
        left_out["predicted"].to_numpy(),
        1.96 * left_out["deviation"].to_numpy(),
        left_out["measured"].to_numpy(),
        noise_of_means(prediction),
        table["mean"].to_numpy(),
        table["low"].to_numpy(),
        table["high"].to_numpy(),
        (table["num_trainings"] > 0).to_numpy(),
        table["measured"].to_numpy(),
    )


def noise_of_means(prediction: Prediction) -> float | None:
    """95% half width of the noise of a measured mean around a perfect prediction.

    Args:
        prediction: The prediction.

    Returns:
        In units of the metric, ``None`` if no placement was trained twice.
    """
    if prediction.reliability is None:
        return None
    per_mean = prediction.num_trials / prediction.num_placements
    return 1.96 * prediction.reliability.noise / float(np.sqrt(per_mean))


def draw(figure: PredictionFigure, path: Path) -> None:
    """Draw the figure into a file.

    Args:
        figure: What :func:`prediction_figure` computed.
        path: File to write; its suffix chooses PNG, SVG or PDF.

    Raises:
        InputError: The suffix is another one.
    """
    require_figure_file(path)
    to_matplotlib(figure).savefig(path)


def to_matplotlib(figure: PredictionFigure) -> "Figure":
    """Draw the figure without a file, for a page that embeds it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(10.0, 4.4), layout="constrained", dpi=130)
    FigureCanvasAgg(canvas)
    left, right = canvas.subplots(1, 2, width_ratios=[1.0, 1.3])
    canvas.suptitle(figure.title, fontweight="bold", x=0.01, ha="left")
    ends = np.array(
        [
            min(figure.predicted.min(), figure.measured.min()),
            max(figure.predicted.max(), figure.measured.max()),
        ]
    )
    left.plot(ends, ends, color="0.4", linewidth=1)
    if figure.noise is not None:
        left.fill_between(
            ends, ends - figure.noise, ends + figure.noise, color="#009E73", alpha=0.18,
            linewidth=0, label="seed noise around a perfect prediction (95%)",
        )  # fmt: skip
    left.errorbar(
        figure.predicted, figure.measured, xerr=figure.arms, fmt="o", color="#0072B2",
        ecolor="0.8", markersize=4, linewidth=0.8, label="placement, left out",
    )  # fmt: skip
    left.set_xlabel(f"predicted {figure.label}")
    left.set_ylabel(f"measured {figure.label}")
    left.legend(loc="best", frameon=False, fontsize=7)
    rank = np.arange(1, len(figure.ranked) + 1)
    right.fill_between(
        rank, figure.low, figure.high, color="0.88", linewidth=0, label="95% interval"
    )
    right.plot(rank, figure.ranked, color="#0072B2", linewidth=1.2, label="predicted")
    right.plot(
        rank[figure.trained], figure.ranked_measured[figure.trained], "o",
        color="#D55E00", markersize=3.5, label="measured",
    )  # fmt: skip
    right.set_xlabel("placement, by prediction")
    right.set_ylabel(figure.label)
    right.legend(loc="best", frameon=False, fontsize=7)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    return canvas
