"""The rule test as a picture: what an MSA does in each slot, and the contrasts.

:func:`rule_figure` computes what is shown, :func:`draw` only draws it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nas.figures.figure_file import require_figure_file
from nas.rule.effect import Effect
from nas.rule.rule_test import RuleTest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Place = Literal["end", "middle", "strided"]

COLOURS: dict[Place, str] = {
    "end": "#D55E00",
    "middle": "#0072B2",
    "strided": "#0072B2",
}
"""Okabe & Ito's colours, which the colour-blind can tell apart."""

LABELS: dict[Place, str] = {
    "end": "last block of its stage",
    "middle": "other block",
    "strided": "strided first block",
}


RIVALS = {
    "every_stage_left_out": "one stage alone",
    "no_stage_against": "a stage in which it is the other way round",
    "last_over_first": "first slots as good",
    "last_over_middle": "middle slots as good",
    "same_count": "number of MSAs in a stage",
    "beyond_rivals": "depth, strides, count and neighbours together",
    "beyond_rivals_and_stage_levels": "the same with stage levels",
    "each_comparison_beyond_rivals": "the same with one stage, or edges",
    "strided_not_beyond_last": "strided slots better still",
    "ends_do_not_hurt": "merely the least bad place",
    "ends_help_by_themselves": "merely bad first blocks",
}
"""What a check that failed leaves open, by the check's name."""


@dataclass(frozen=True)
class SlotMark:
    """One slot of the left panel.

    Attributes:
        stage: Stage, from 1.
        block: Block, from 1.
        x: Where it is drawn; stages are one apart.
        place: Where it is in its stage.
        effect: Its effect, or ``None`` if there is none.
        low: Lower end of the 95% interval.
        high: Upper end of the 95% interval.
    """

    stage: int
    block: int
    x: float
    place: Place
    effect: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ContrastMark:
    """One contrast of the right panel.

    Attributes:
        name: What is compared.
        effect: The contrast, or ``None`` if there is none.
        low: Lower end of the 95% interval.
        high: Upper end of the 95% interval.
        is_headline: Whether the verdict is about it; its interval is then the one
            that the verdict is read from, which need not be the 95% one.
        reason: Why there is none.
    """

    name: str
    effect: float | None
    low: float | None
    high: float | None
    is_headline: bool = False
    reason: str = ""


@dataclass(frozen=True)
class RuleFigure:
    """Everything that is drawn.

    Attributes:
        title: The verdict in a line.
        open_question: What keeps it from a verdict, or ``""``.
        subtitle: Numbers of trials, placements, and how they were sampled.
        label: Name of the axis of effects.
        better: Sign of the good side; 0 if neither is.
        slots: The left panel.
        contrasts: The right panel, from top to bottom.
    """

    title: str
    open_question: str
    subtitle: str
    label: str
    better: int
    slots: tuple[SlotMark, ...]
    contrasts: tuple[ContrastMark, ...]


def rule_figure(test: RuleTest) -> RuleFigure:
    """Compute the figure of a rule test.

    Args:
        test: The test.

    Returns:
        What :func:`draw` needs.
    """
    slots = []
    x = 0.0
    for slot in test.slots:
        if slot.block == 1 and slot.stage > 1:
            x += 1.0
        place: Place = "strided" if slot.strided else "middle"
        if slot.block == test.depths[slot.stage - 1]:
            place = "end"
        effect = slot.effect
        slots.append(
            SlotMark(slot.stage, slot.block, x, place, effect.effect, *effect.ci)
        )
        x += 1.0
    contrasts = [
        _headline(test),
        *(_mark(f"    stage {stage} alone", effect) for stage, effect in test.stages),
        _mark("    worst without a stage", test.controls["worst_without_a_stage"]),
        _mark("    last over first", test.controls["last_over_first"]),
        _mark("    last over middle", test.controls["last_over_middle"]),
        _mark("    beyond all rivals", test.controls["beyond_rivals"]),
        _mark("    with strided blocks", test.end_of_stage_with_strided),
        _mark("an MSA at the ends", test.ends),
        _mark("end of model", test.end_of_model),
        _mark("one more MSA anywhere", test.num_msas),
    ]
    return RuleFigure(
        title=f"MSAs belong at the end of a stage: {test.verdict}",
        open_question=_open_question(test),
        subtitle=(
            f"{test.num_trials} trials of {test.num_placements} placements, "
            f"{test.sampling} sampling, 95% intervals{_other_interval(test)}"
        ),
        label=f"change of {test.metric}",
        better={"maximize": 1, "minimize": -1, "none": 0}[test.direction],
        slots=tuple(slots),
        contrasts=tuple(contrasts),
    )


def _open_question(test: RuleTest) -> str:
    if test.verdict != "inconclusive":
        return ""
    if test.end_of_stage.effect is None or len(test.reasons) == 1:
        return test.reasons[0]
    failed = [RIVALS[check.name] for check in test.checks if not check.passed]
    return f"not ruled out: {', '.join(failed)}"


def _headline(test: RuleTest) -> ContrastMark:
    effect, interval = test.end_of_stage, test.verdict_interval
    low, high = effect.ci if interval is None else (interval.low, interval.high)
    return ContrastMark("end of stage", effect.effect, low, high, True, effect.reason)


def _other_interval(test: RuleTest) -> str:
    """Says so where the headline's interval is not like the others."""
    interval = test.verdict_interval
    if interval is None or abs(interval.confidence - 0.95) < 1e-9:
        return ""
    return f" (end of stage: {interval.name}, as the verdict)"


def _mark(name: str, effect: Effect) -> ContrastMark:
    return ContrastMark(name, effect.effect, *effect.ci, reason=effect.reason)


def draw(figure: RuleFigure, path: Path) -> None:
    """Draw the figure into a file.

    Args:
        figure: What :func:`rule_figure` computed.
        path: File to write; its suffix chooses PNG, SVG or PDF.

    Raises:
        InputError: The suffix is another one.
    """
    require_figure_file(path)
    to_matplotlib(figure).savefig(path)


def to_matplotlib(figure: RuleFigure) -> "Figure":
    """Draw the figure without a file, for a page that embeds it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    width = max(5.0, 0.42 * (figure.slots[-1].x + 2))
    canvas = Figure(figsize=(width + 4.6, 4.6), layout="constrained", dpi=130)
    FigureCanvasAgg(canvas)
    left, right = canvas.subplots(1, 2, width_ratios=[width, 4.6])
    canvas.suptitle(figure.title, fontweight="bold", x=0.01, ha="left")
    _draw_slots(left, figure)
    _draw_contrasts(right, figure)
    details = "\n".join(filter(None, [figure.open_question, figure.subtitle]))
    right.set_title(details, fontsize=8, color="0.35", loc="right")
    return canvas


def _draw_slots(axis: "Axes", figure: RuleFigure) -> None:
    stages = sorted({slot.stage for slot in figure.slots})
    for stage in stages:
        xs = [slot.x for slot in figure.slots if slot.stage == stage]
        axis.axvspan(min(xs) - 0.6, max(xs) + 0.6, color="0.94", zorder=0)
        axis.annotate(
            f"stage {stage}",
            ((min(xs) + max(xs)) / 2, 1.01),
            xycoords=("data", "axes fraction"),
            ha="center",
            color="0.35",
            fontsize=9,
        )
    axis.axhline(0, color="0.4", linewidth=1)
    for place, label in LABELS.items():
        shown = [
            (slot.x, slot.effect, slot.low, slot.high)
            for slot in figure.slots
            if slot.place == place
            and slot.effect is not None
            and slot.low is not None
            and slot.high is not None
        ]
        if shown:
            places, effects, lows, highs = np.array(shown).T
            arms = [effects - lows, highs - effects]
            axis.errorbar(places, effects, yerr=arms, label=label, **_style(place))
    for slot in figure.slots:
        if slot.effect is None:
            axis.annotate(
                "never\nvaried",
                (slot.x, 0),
                ha="center",
                va="center",
                fontsize=6,
                color="0.5",
                rotation=90,
            )
    axis.set_xticks(
        [slot.x for slot in figure.slots], [str(slot.block) for slot in figure.slots]
    )
    axis.set_xlim(figure.slots[0].x - 0.9, figure.slots[-1].x + 0.9)
    axis.set_xlabel("block of the stage")
    side = {1: " (up is better)", -1: " (down is better)", 0: ""}[figure.better]
    axis.set_ylabel(f"{figure.label}, C to M{side}")
    axis.margins(y=0.12)
    axis.spines[["top", "right"]].set_visible(False)
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        axis.legend(
            handles,
            labels,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),
            ncols=3,
            frameon=False,
            fontsize=8,
            handletextpad=0.3,
            columnspacing=1.2,
        )


def _draw_contrasts(axis: "Axes", figure: RuleFigure) -> None:
    axis.axvline(0, color="0.4", linewidth=1)
    for row, mark in enumerate(figure.contrasts):
        colour = COLOURS["end"] if mark.is_headline else "0.25"
        if mark.effect is None or mark.low is None or mark.high is None:
            axis.annotate(
                "cannot be told",
                (0.5, -row),
                xycoords=("axes fraction", "data"),
                va="center",
                ha="center",
                fontsize=8,
                color="0.5",
            )
            continue
        axis.errorbar(
            mark.effect,
            -row,
            xerr=[[mark.effect - mark.low], [mark.high - mark.effect]],
            fmt="D" if mark.is_headline else "o",
            color=colour,
            markersize=8 if mark.is_headline else 5,
            linewidth=3 if mark.is_headline else 1.5,
        )
    rows = range(len(figure.contrasts))
    axis.set_yticks([-row for row in rows], [mark.name for mark in figure.contrasts])
    for tick, mark in zip(axis.get_yticklabels(), figure.contrasts, strict=True):
        tick.set_fontweight("bold" if mark.is_headline else "normal")
        tick.set_fontsize(9)
    axis.set_ylim(-len(figure.contrasts) + 0.4, 0.6)
    side = {1: " (right is better)", -1: " (left is better)", 0: ""}[figure.better]
    axis.set_xlabel(figure.label + side)
    axis.locator_params(axis="x", nbins=5)  # more labels run into each other
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def _style(place: Place) -> dict[str, Any]:
    return {
        "fmt": "D" if place == "end" else "o",
        "color": COLOURS[place],
        "markerfacecolor": "white" if place == "strided" else COLOURS[place],
        "markersize": 7 if place == "end" else 6,
        "linewidth": 1.8,
        "capsize": 2,
    }
