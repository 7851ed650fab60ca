"""The end-of-stage effect against epochs, as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

from nas.figures.figure_file import require_figure_file
from nas.figures.rule import COLOURS
from nas.rule.budgets import BudgetEffects

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIGN = {
    True: "its sign changes",
    False: "its sign does not change",
    None: "whether its sign changes cannot be told",
}


def draw(found: BudgetEffects, path: Path) -> None:
    """Draw the effects into a file.

    Args:
        found: The effects.
        path: File to write; its suffix chooses PNG, SVG or PDF.

    Raises:
        InputError: The suffix is another one.
    """
    require_figure_file(path)
    to_matplotlib(found).savefig(path)


def to_matplotlib(found: BudgetEffects) -> "Figure":
    """Draw the effects with their 95% intervals over epochs, without a file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    canvas = Figure(figsize=(6.4, 4.2), layout="constrained", dpi=130)
    FigureCanvasAgg(canvas)
    axis = canvas.subplots()
    axis.axhline(0, color="0.4", linewidth=1)
    shown = [
        (epochs, one.effect, one.effect - one.ci[0], one.ci[1] - one.effect)
        for epochs, one in found.effects.items()
        if one.effect is not None and one.ci[0] is not None and one.ci[1] is not None
    ]
    if shown:
        epochs, effects, below, above = zip(*shown, strict=True)
        axis.errorbar(
            epochs, effects, yerr=[below, above], fmt="D-", color=COLOURS["end"],
            markersize=6, linewidth=1.8, capsize=2,
        )  # fmt: skip
    else:
        axis.annotate("cannot be told", (0.5, 0.5), xycoords="axes fraction")
    ticks = list(found.effects)
    if ticks[-1] > 2 * len(ticks):
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.set_xlabel("epochs of the same training")
    side = {"maximize": " (up is better)", "minimize": " (down is better)", "none": ""}
    axis.set_ylabel(f"end of stage, {found.metric}{side[found.direction]}")
    axis.spines[["top", "right"]].set_visible(False)
    p = "" if found.sign.p is None else f" (p = {found.sign.p:.3g})"
    canvas.suptitle(
        f"{found.letter} at the end of a stage: {SIGN[found.sign.changes]}{p}",
        fontweight="bold",
        x=0.01,
        ha="left",
    )
    axis.set_title(
        f"{found.num_trials} trials of {found.num_placements} placements, "
        f"{found.sampling} sampling, 95% intervals",
        fontsize=8,
        color="0.35",
        loc="right",
    )
    return canvas
