"""`nas predict`: every placement of a space, the untrained ones included."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.naming import STUDY
from nas.csv_text import csv_frame
from nas.terminal import make_console, say

if TYPE_CHECKING:
    from rich.table import Table

    from nas.prediction.prediction import Prediction
    from nas.prediction.trust import RankAgreement


@click.command()
@click.argument("source", metavar="STUDY|TABLE", type=STUDY)
@click.option(
    "--metric",
    help="Column to predict.  [default: a study's first objective, else accuracy]",
)
@click.option(
    "--direction",
    type=click.Choice(["maximize", "minimize", "none"]),
    help="Which way the metric is better; known for the metrics of nas evaluate.",
)
@click.option(
    "--space",
    metavar="LETTERS",
    help="Placements to predict: letters of every slot, e.g. CMP, or a pattern with "
    "the choices of a slot in brackets, e.g. 'C[CM][CM]-[CM]M'.  [default: the space "
    "of the study, or every combination of the letters that the table has in each "
    "slot]",
)
@click.option(
    "--covariate",
    "covariates",
    metavar="COLUMN",
    multiple=True,
    help="A numeric column that predicts beside the letters, known without training "
    "(rows without the metric may bring it for untrained placements).",
)
@click.option(
    "--scores",
    metavar="STUDY|TABLE",
    type=STUDY,
    help="Scores of placements that were not trained for them, e.g. the study of a "
    "search with scoring.kind=supernet; joined by placement, used as covariates.",
)
@click.option(
    "--max",
    "limits",
    metavar="COST=NUMBER,…",
    multiple=True,
    help="Only placements that cost at most this, e.g. macs=2e6,params=70000.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help="Placements that are printed.  [default: 20 in a table, else all]",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
)
@click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also draw predicted against measured into a PNG, SVG or PDF file.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the draws.",
)
def command(
    source: Path,
    metric: str | None,
    direction: "str | None",
    space: str | None,
    covariates: tuple[str, ...],
    scores: Path | None,
    limits: tuple[str, ...],
    top: int | None,
    output: str,
    plot: Path | None,
    seed: int,
) -> None:
    """Predict every placement of a space from the trained ones, with intervals.

    STUDY is a directory that nas search made. TABLE is a .csv or .parquet file with the
    columns placement (e.g. CCC-CCM, any registered letters) and the metric; seed,
    epochs and state are used if they are there.
    """
    from nas.prediction.prediction import predict

    prediction = predict(
        source,
        metric,
        direction=direction,  # type: ignore[arg-type]  # click has checked it
        space=space,
        covariates=covariates,
        limits=_parse_limits(limits),
        scores=scores,
        seed=seed,
    )
    if plot is not None:
        from nas.figures.prediction import draw, prediction_figure

        draw(prediction_figure(prediction), plot)
        say(f"drew {plot}", err=True)
    if output == "json":
        say(json.dumps(prediction.to_dict(top), indent=2, allow_nan=False))
    elif output == "csv":
        rows = prediction.table if top is None else prediction.table.head(top)
        say(csv_frame(rows).to_csv(index=False).removesuffix("\n"))
    else:
        _print(prediction, 20 if top is None else top)


def _parse_limits(texts: tuple[str, ...]) -> dict[str, float]:
    from math import isnan

    from search_spaces.errors import InputError

    found: dict[str, float] = {}
    for part in (part for text in texts for part in text.split(",")):
        name, _, number = part.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not name.strip() or isnan(value):
            raise InputError(
                "--max takes costs and their upper bounds, e.g. 'macs=2e6,params=7e4'; "
                f"got {part!r}"
            )
        found[name.strip()] = value
    return found


def _print(prediction: "Prediction", top: int) -> None:
    from rich.table import Table

    from nas.pareto.table import format_value

    console = make_console(160)
    metric, trust = prediction.metric, prediction.trust
    console.print(
        f"{metric} ({prediction.direction}): {prediction.num_trials} trainings of "
        f"{prediction.num_placements} placements; the space {prediction.space} holds "
        f"{prediction.space_size:,}",
    )
    console.print(f"\n{trust.sentence()}\n")
    grid = Table(title=f"Predicted {metric}, best first", title_justify="left")
    columns = ["placement", metric, "95% interval", "one training", "measured"]
    columns += ["trainings", "P(best)"]
    extra = [c for c in prediction.table.columns[10:]]
    for column in (*columns, *extra, ""):
        plain = column in ("placement", "")
        grid.add_column(
            column, justify="left" if plain else "right", no_wrap=column == "placement"
        )
    for row in prediction.table.head(top).to_dict("records"):
        best = row["p_best"]
        grid.add_row(
            row["placement"],
            format_value(row["mean"]),
            f"{row['low']:.4g} to {row['high']:.4g}",
            f"{row['training_low']:.4g} to {row['training_high']:.4g}",
            format_value(row["measured"]),
            str(row["num_trainings"]),
            "" if best != best else f"{best:.2f}",
            *(format_value(row[name]) for name in extra),
            row["extrapolated"],
        )
    console.print(grid)
    hidden = len(prediction.table) - top
    if hidden > 0:
        console.print(f"{hidden:,} more (--top, --format csv)")
    if prediction.front is not None:
        console.print(_front_table(prediction, top))
        console.print(f"The front is {prediction.front_method}.")
    grid = Table(title="Left out and predicted", title_justify="left")
    columns = ["", "Kendall", "95% interval", "Spearman"]
    if trust.within:
        columns.append("Kendall within equal numbers of blocks")
    for column in columns:
        grid.add_column(column, justify="right" if column else "left")
    _add(grid, "this model", trust.left_out)
    for name, agreement in trust.trivial.items():
        _add(grid, name, agreement, trust.within.get(name))
    if trust.ceiling is not None:
        one = trust.ceiling
        interval = f"{one.kendall_low:.2f} to {one.kendall_high:.2f}"
        grid.add_row(
            "ceiling (seed noise)",
            f"{one.kendall:.2f}",
            interval,
            f"{one.spearman:.2f}",
        )
    console.print(grid)
    console.print(f"Measured means inside their 95% interval: {trust.coverage:.0%}.")
    if trust.additive_r2 is not None:
        share = trust.additive_share
        console.print(
            f"Slots alone explain {trust.additive_r2:.0%} of the variance between "
            "placements"
            + ("" if share is None else f", {share:.0%} of what noise leaves")
            + "."
        )
    if prediction.reliability is not None:
        one_icc = prediction.reliability
        console.print(
            f"Reliability of one training of {metric}: {one_icc} from "
            f"{one_icc.num_repeated} placements trained several times.",
        )
    for note in prediction.notes:
        console.print(f"Note: {note}.")


def _front_table(prediction: "Prediction", top: int) -> "Table":
    from rich.table import Table

    from nas.pareto.table import format_value

    assert prediction.front is not None
    costs = list(prediction.limited)
    number = len(prediction.front)
    shown = "" if number <= top else f", the best {top} of {number:,}"
    grid = Table(
        title=f"Front of predicted {prediction.metric} and {', '.join(costs)} within "
        f"the limits{shown}",
        title_justify="left",
    )
    for column in ("placement", prediction.metric, "95% interval", *costs, ""):
        plain = column in ("placement", "")
        grid.add_column(
            column, justify="left" if plain else "right", no_wrap=column == "placement"
        )
    for row in prediction.front.head(top).to_dict("records"):
        grid.add_row(
            row["placement"],
            format_value(row["mean"]),
            f"{row['low']:.4g} to {row['high']:.4g}",
            *(format_value(row[name]) for name in costs),
            row["extrapolated"],
        )
    return grid


def _add(
    grid: "object",
    name: str,
    agreement: "RankAgreement",
    within: "RankAgreement | None" = None,
) -> None:
    from rich.table import Table

    assert isinstance(grid, Table)
    grid.add_row(
        name,
        f"{agreement.kendall:.2f}",
        f"{agreement.kendall_low:.2f} to {agreement.kendall_high:.2f}",
        f"{agreement.spearman:.2f}",
        *_within(within),
    )


def _within(part: "RankAgreement | None") -> list[str]:
    if part is None:
        return []
    low, high = part.kendall_low, part.kendall_high
    return [f"{part.kendall:.2f} ({low:.2f} to {high:.2f})"]
