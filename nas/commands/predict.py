"""`nas predict`: every placement of a space, the untrained ones included."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.commands.fitted_table import Column, print_fitted
from nas.commands.naming import FIGURE, STUDY
from nas.csv_text import csv_frame
from nas.terminal import make_console, say

if TYPE_CHECKING:
    from nas.prediction.prediction import Prediction
    from nas.prediction.trust import RankAgreement, Trust


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
    help="Only placements that cost at most this, e.g. macs=2M,params=70000.",
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
    type=FIGURE,
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
    r"""Predict every placement of a space from the trained ones, with intervals.

    STUDY is a directory that nas search made. TABLE is a .csv or .parquet file with the
    columns placement (e.g. CCC-CCM, any registered letters) and the metric; seed,
    epochs and state are used if they are there.

    \b
    nas predict runs/photos --max macs=2M --plot predicted.png
    nas predict trials.csv --metric nll --format csv
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
    from nas.human_number import parse_number
    from search_spaces.errors import InputError

    found: dict[str, float] = {}
    for part in (part for text in texts for part in text.split(",")):
        name, _, number = part.partition("=")
        try:
            if not name.strip():
                raise ValueError(part)
            found[name.strip()] = parse_number(number)
        except ValueError:
            raise InputError(
                "--max takes costs and their upper bounds, e.g. 'macs=2M,params=70000';"
                f" got {part!r}"
            ) from None
    return found


def _print(prediction: "Prediction", top: int) -> None:
    console = make_console()
    metric, trust = prediction.metric, prediction.trust
    console.print(
        f"{metric} ({prediction.direction}): {prediction.num_trials} trainings of "
        f"{prediction.num_placements} placements; the space {prediction.space} holds "
        f"{prediction.space_size:,}",
    )
    console.print(f"\n{trust.sentence()}\n")
    rows = prediction.table.head(top).to_dict("records")
    extra = list(prediction.table.columns[10:])
    limited = list(prediction.limited)
    _print_rows(f"Predicted {metric}, best first", metric, rows, extra, limited)
    hidden = len(prediction.table) - top
    if hidden > 0:
        console.print(f"{hidden:,} more (--top, --format csv)")
    if prediction.front is not None:
        _print_front(prediction, top)
        console.print(f"The front is {prediction.front_method}.")
    _print_trust(trust)
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


def _print_front(prediction: "Prediction", top: int) -> None:
    assert prediction.front is not None
    costs = list(prediction.limited)
    number = len(prediction.front)
    shown = "" if number <= top else f", the best {top} of {number:,}"
    _print_rows(
        f"Front of predicted {prediction.metric} and {', '.join(costs)} within the "
        f"limits{shown}",
        prediction.metric,
        prediction.front.head(top).to_dict("records"),
        costs,
        costs,
    )


def _print_rows(
    title: str,
    metric: str,
    rows: "list[dict[Any, Any]]",
    extra: list[str],
    limited: list[str],
) -> None:
    """Predicted placements, and why some of them are guesses."""
    from nas.pareto.table import short_value

    def fitting(row: dict[Any, Any], *names: str) -> list[str]:
        # two digits of a standard error: what lies beyond is noise
        error = (row["high"] - row["low"]) / 4
        fits = 1e-6 < error < 1e4
        digits = max(0, 1 - math.floor(math.log10(error))) if fits else None
        return [
            short_value(row[one])
            if digits is None or row[one] != row[one]
            else f"{row[one]:,.{digits}f}"
            for one in names
        ]

    def interval(low: str, high: str) -> list[str]:
        return [" to ".join(fitting(row, low, high)) for row in rows]

    columns = [
        Column("placement", [row["placement"] for row in rows], is_text=True),
        Column(metric, [fitting(row, "mean")[0] for row in rows]),
        Column("95% interval", interval("low", "high")),
        Column("", ["guess" * bool(row["extrapolated"]) for row in rows], is_text=True),
        Column("measured", [fitting(row, "measured")[0] for row in rows], 1),
        Column(
            "P(best)",
            [
                "" if row["p_best"] != row["p_best"] else f"{row['p_best']:.2f}"
                for row in rows
            ],
            2,
        ),
        *(
            Column(
                one,
                [short_value(row[one]) for row in rows],
                1 if one in limited else 3,
            )
            for one in extra
        ),
        Column("trainings", [str(row["num_trainings"]) for row in rows], 4),
        Column("one training", interval("training_low", "training_high"), 5),
    ]
    print_fitted(title, [one for one in columns if any(one.cells)])
    reasons = {row["extrapolated"]: None for row in rows if row["extrapolated"]}
    for reason in reasons:
        make_console().print(f"guess: {reason}")


def _print_trust(trust: "Trust") -> None:
    ranked = [("this model", trust.left_out), *trust.trivial.items()]
    within = [_within(trust.within.get(name)) for name, _ in ranked]
    names = [name for name, _ in ranked]
    kendall = [f"{one.kendall:.2f}" for _, one in ranked]
    intervals = [
        f"{one.kendall_low:.2f} to {one.kendall_high:.2f}" for _, one in ranked
    ]
    spearman = [f"{one.spearman:.2f}" for _, one in ranked]
    if trust.ceiling is not None:
        one = trust.ceiling
        names.append("ceiling (seed noise)")
        kendall.append(f"{one.kendall:.2f}")
        intervals.append(f"{one.kendall_low:.2f} to {one.kendall_high:.2f}")
        spearman.append(f"{one.spearman:.2f}")
        within.append("")
    left_out = print_fitted(
        "Left out and predicted",
        [
            Column("", names, is_text=True),
            Column("Kendall", kendall),
            Column("95% interval", intervals),
            Column("Spearman", spearman, 1),
            Column("Kendall, equal counts", within, 2),
        ],
        complete="--format json",
    )
    if any(within) and "Kendall, equal counts" not in left_out:
        make_console().print(
            "Kendall, equal counts: within placements that have equal numbers of "
            "blocks of each kind"
        )


def _within(part: "RankAgreement | None") -> str:
    if part is None:
        return ""
    return f"{part.kendall:.2f} ({part.kendall_low:.2f} to {part.kendall_high:.2f})"
