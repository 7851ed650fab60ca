"""Figures of the claims, in the paper's style: one row of panels, one panel a network.

Curves by depth and matrices are of the first seed; Hessian spectra pool all of them.
"""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean, stdev

from nas.claims.trained import Trained, TrainedNetwork
from nas.figures.paper import Figure, Line, Models, Panel, paper_figures


def claim_figures(trained: Trained, labels: Sequence[str]) -> list[Figure]:
    """All figures that the trainings allow.

    Args:
        trained: The trainings.
        labels: The networks in the order in which they are shown.

    Returns:
        ``fit`` (training NLL against test error), then the paper's figures.
    """
    runs = {
        label: [one for one in trained.networks if one.label == label]
        for label in labels
    }
    runs = {label: some for label, some in runs.items() if some}
    fit = _fit(runs)
    return ([fit] if fit is not None else []) + paper_figures(_models(runs))


def _fit(runs: dict[str, list[TrainedNetwork]]) -> Figure | None:
    """Training NLL against test error, a point a network (Fig. 1 of the poster)."""
    lines = []
    for label, some in runs.items():
        pairs = [
            (one.values["test_error"].value, one.values["train_nll"].value)
            for one in some
            if {"test_error", "train_nll"} <= set(one.values)
        ]
        if not pairs:
            continue
        losses = [nll for _, nll in pairs]
        error = stdev(losses) / sqrt(len(losses)) if len(losses) > 1 else 0.0
        x = (100 * fmean(x for x, _ in pairs),)
        lines.append(Line(label, x, (fmean(losses),), (error,)))
    if not lines:
        return None
    panel = Panel("", "test error (%)", "training NLL (nats)", tuple(lines))
    note = "mean over seeds; bars: standard error over seeds"
    return Figure("fit", (panel,), 1, note=note)


def _models(runs: dict[str, list[TrainedNetwork]]) -> Models:
    models = {}
    for label, some in runs.items():
        details = dict(some[0].details)
        spectra = [one.details["flatness"] for one in some if "flatness" in one.details]
        if spectra:
            pooled = [batch for one in spectra for batch in one["minibatches"]]
            details["flatness"] = {**spectra[0], "minibatches": pooled}
        models[label] = details
    return models
