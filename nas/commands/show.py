"""`nas show`: one trial, its placement as a picture, its metrics and curves."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.fitted_table import Column, print_fitted
from nas.commands.naming import FIGURE, PICTURE, STUDY
from nas.commands.options import format_option
from nas.commands.problems import say_problems
from nas.terminal import make_console, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nas.study.reliability import Reliability
    from nas.study.trial_view import TrialView


@click.command()
@click.argument("study", type=STUDY)
@click.argument("number", metavar="[NUMBER|best|latest]", default="best")
@format_option()
@click.option(
    "--plot",
    metavar="FILE",
    type=FIGURE,
    help="Also draw placement, curves, metrics and front into a PNG, SVG or PDF file.",
)
@click.option(
    "--picture",
    metavar="FILE.svg",
    type=PICTURE,
    help="Also draw the placement alone as SVG.",
)
def command(
    study: Path, number: str, output: str, plot: Path | None, picture: Path | None
) -> None:
    r"""Show one trial of STUDY: placement, metrics, curves, place on the front.

    STUDY is a directory, the name of one in runs/, or `latest`. "best" is the trial
    with the best value of the study's first objective, "latest" the one that ended
    last.

    \b
    nas show runs/photos best
    nas show latest 7 --plot trial.png
    """
    from nas.pareto.find_trial import find_trial
    from nas.study.reliability import reliability_by_metric
    from nas.study.study import Study
    from nas.study.trial_view import TrialView

    opened = Study.open(study)
    view = TrialView.of(opened, find_trial(opened, number))
    if plot is not None:
        from nas.figures.trial import draw_trial

        draw_trial(view, plot)
        say(f"drew {plot}", err=True)
    if picture is not None:
        from search_spaces.diagram import to_svg
        from search_spaces.placement import Placement

        svg = to_svg(Placement.parse(view.trial.placement))
        picture.write_text(svg, encoding="utf-8")
        say(f"drew {picture}", err=True)
    if output == "json":
        reliable = {
            name: [one.icc, one.low, one.high]
            for name, one in reliability_by_metric(opened.trials()).items()
        }
        say(json.dumps({**view.as_dict(), "reliability": reliable}, indent=2))
    else:
        _print(view, reliability_by_metric(opened.trials()))
    say_problems(opened)


def _print(view: "TrialView", reliability: "Mapping[str, Reliability]") -> None:
    from nas.pareto.table import format_value, short_value
    from nas.study.trial_view import sparkline
    from search_spaces.diagram import to_text
    from search_spaces.placement import Placement

    console = make_console()
    trial = view.trial
    facts = [str(trial.state), f"{trial.epochs} epochs", f"seed {trial.seed}"]
    if trial.split_seed is not None:
        facts.append(f"split seed {trial.split_seed}")
    if trial.duration_s is not None:
        facts.append(f"{trial.duration_s:.1f} s")
    if trial.baseline:
        facts.append(f"baseline {trial.baseline}")
    console.print(f"Trial {trial.number}", style="bold", end="")
    console.print(f" of {view.table.name}: {', '.join(facts)}")
    console.print(f"{trial.placement}   {trial.architecture_id}\n")
    console.print(to_text(Placement.parse(trial.placement), "  "), soft_wrap=True)
    if trial.error:
        console.print(f"\nfailed: {trial.error}")
    if trial.metrics:
        tested = view.tested
        rows = {
            metric: (
                short_value(value, trial.standard_errors.get(metric)),
                f"{view.ranks[metric]} of {len(view.table.trials)}"
                if view.ranks.get(metric)
                else "",
                _interval(reliability.get(metric)),
            )
            for metric, value in trial.metrics.items()
        }
        if tested is not None:
            accuracy = short_value(tested.test_accuracy, tested.test_accuracy_se)
            rows["test accuracy"] = (accuracy, "", "")
            rows["test nll"] = (short_value(tested.test_nll), "", "")
        values, ranks, icc = zip(*rows.values(), strict=True)
        console.print()
        print_fitted(
            "Metrics",
            [
                Column("metric", list(rows), is_text=True),
                Column("value ± SE", values),
                Column("rank", ranks, 1),
                # where some networks were trained with several seeds
                Column("reliability (ICC)", icc, 2),
            ],
            complete="--format json",
        )
        if tested is not None:
            console.print(
                f"The {tested.num_images} test images were looked at once"
                + (f", {tested.looked}" if tested.looked else "")
                + "; all other values are of validation and training images."
            )
    if view.history.get("epoch"):
        curves = {
            name: found
            for name in ("train_loss", "val_loss", "val_accuracy")
            if (found := view.history.get(name))
        }
        print_fitted(
            "Training",
            [
                Column("curve", list(curves), is_text=True),
                Column("first", [format_value(one[0]) for one in curves.values()]),
                Column("last", [format_value(one[-1]) for one in curves.values()]),
                Column("by epoch", list(map(sparkline, curves.values())), 1, True),
            ],
            complete="--plot FILE",
        )
    console.print(_standing(view))


def _interval(one: "Reliability | None") -> str:
    return "" if one is None else f"{one.icc:.2f} ({one.low:.2f} to {one.high:.2f})"


def _standing(view: "TrialView") -> str:
    if view.is_pareto:
        return "On the front: no trained trial beats it."
    if view.beaten_by:
        shown = ", ".join(map(str, view.beaten_by[:8]))
        more = len(view.beaten_by) - 8
        return f"Not on the front: beaten by trial {shown}" + (
            f" and {more} more." if more > 0 else "."
        )
    if view.trial.state != "complete":
        return "Not on the front: it was not trained to its budget."
    return "Not on the front: it has no value in some objective."
