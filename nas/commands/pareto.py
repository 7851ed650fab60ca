"""`nas pareto`: which trials nothing beats, as a table, JSON, CSV or figure."""

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.commands.naming import STUDY
from nas.csv_text import csv_row
from nas.terminal import make_console, say

if TYPE_CHECKING:
    from nas.ledger.held_out_results import TestResult
    from nas.pareto.front import Floats
    from nas.pareto.table import ParetoTable

    Tested = dict[int, TestResult]


@click.command()
@click.argument("study", type=STUDY)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="What is printed. The table shows the front and the baselines; JSON and CSV "
    "hold every trained trial with a column is_pareto.",
)
@click.option(
    "--metrics",
    metavar="A,B[,C]",
    help="Metrics that span the front instead of the study's objectives, e.g. "
    "accuracy,params or accuracy,duration_s:minimize.",
)
@click.option(
    "--constraint",
    "constraints",
    metavar="METRIC<=NUMBER",
    multiple=True,
    help="Keep trials that break this bound out of the front, e.g. 'params<=100000'.",
)
@click.option(
    "--compare",
    metavar="STUDY2",
    type=STUDY,
    help="A second study, measured from the same reference point.",
)
@click.option(
    "--reference",
    metavar="METRIC=NUMBER,…",
    help="Reference point of the hypervolume. Default: a tenth of the range worse "
    "than the worst trial.",
)
@click.option(
    "--plot",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also draw the front into a PNG, SVG or PDF file.",
)
@click.option(
    "--mean",
    "mean_of_seeds",
    is_flag=True,
    help="One point for each network, the mean over its seeds.",
)
@click.option("--all", "show_all", is_flag=True, help="Every trial in the table.")
def command(
    study: Path,
    output: str,
    metrics: str | None,
    constraints: tuple[str, ...],
    compare: Path | None,
    reference: str | None,
    plot: Path | None,
    mean_of_seeds: bool,
    show_all: bool,
) -> None:
    """Show the trials of STUDY that no other trial beats in every objective."""
    from nas.figures.front import common_reference
    from nas.pareto.table import Constraint, ParetoTable, parse_axes
    from nas.study.study import Study

    first = Study.open(study)
    axes = first.objectives
    if metrics:
        axes = parse_axes(metrics, first.objectives, first.metric_facts)
    bounds = [Constraint.parse(text) for text in constraints]
    studies = [first] if compare is None else [first, Study.open(compare)]
    tables = [
        ParetoTable.of(study, axes, bounds, mean_of_seeds=mean_of_seeds)
        for study in studies
    ]
    point = common_reference([table.front for table in tables])
    if reference is not None:
        point = _parse_reference(reference, tables[0].front.metrics)
    if plot is not None:
        from nas.figures.front import draw, front_figure

        draw(front_figure(tables, point), plot)
        say(f"drew {plot}", err=True)
    tested = [study.test_results() for study in studies]
    if output == "json":
        say(json.dumps(_as_json(tables, tested, point)))
    elif output == "csv":
        _print_csv(tables, tested)
    else:
        for table, results in zip(tables, tested, strict=True):
            _print_table(table, results, point, show_all)
        from nas.prediction.winner import judge_winner  # scipy: only where it is used

        for one in studies:
            winner = judge_winner(one)
            if winner is not None:
                say(winner.sentence())


def _parse_reference(text: str, metrics: tuple[str, ...]) -> "Floats":
    import numpy as np

    from search_spaces.errors import InputError

    try:
        pairs = [part.split("=") for part in text.split(",")]
        values = {name.strip(): float(number) for name, number in pairs}
    except ValueError:
        values = {}
    if set(values) != set(metrics) or not np.isfinite(list(values.values())).all():
        raise InputError(
            "a reference point gives a number for every axis, e.g. "
            f"'{','.join(f'{metric}=1' for metric in metrics)}'; got {text!r}"
        )
    return np.array([values[metric] for metric in metrics])


def _as_json(
    tables: "list[ParetoTable]", tested: "list[Tested]", reference: "Floats"
) -> dict[str, Any]:
    described = [
        {**table.summary(reference), "trials": table.rows(results)}
        for table, results in zip(tables, tested, strict=True)
    ]
    return described[0] | ({"compare": described[1]} if len(described) > 1 else {})


def _print_csv(tables: "list[ParetoTable]", tested: "list[Tested]") -> None:
    rows = [
        csv_row(({"study": table.name} if len(tables) > 1 else {}) | row)
        for table, results in zip(tables, tested, strict=True)
        for row in table.rows(results)
    ]
    if rows:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        say(text.getvalue().removesuffix("\n"))


def _print_table(
    table: "ParetoTable", tested: "Tested", reference: "Floats", show_all: bool
) -> None:
    from rich.table import Table

    from nas.pareto.table import format_value
    from nas.study.parent_difference import ParentComparison
    from nas.study.reliability import reliability_by_metric

    # Without a terminal nothing may be cut off: the width is then our own.
    console = make_console(200)
    summary = table.summary(reference)
    axes = table.front.metrics
    grid = Table(title=f"{table.name}: the front", title_justify="left")
    grid.add_column("number", justify="right")
    grid.add_column("placement", no_wrap=True)
    grid.add_column("is_pareto")
    for metric, direction in zip(axes, table.front.directions, strict=True):
        arrow = "↑" if direction == "maximize" else "↓"
        grid.add_column(f"{metric} {arrow}", justify="right")
    rows = table.rows(tested)
    is_tested = any(row.get("test_accuracy") is not None for row in rows)
    if is_tested:
        grid.add_column("test accuracy", justify="right")
    of_seeds = "num_seeds" if table.num_seeds else "seed"
    grid.add_column(of_seeds, justify="right")
    grid.add_column("baseline")
    comparison = ParentComparison.of(table.trainings, axes[0])
    is_doubtful = False
    best_first = sorted(
        range(len(rows)),
        key=lambda i: (not rows[i]["is_pareto"], _loss(table, i)),
    )
    for index in best_first:
        row = rows[index]
        if not (show_all or row["is_pareto"] or row["baseline"]):
            continue
        values = [
            format_value(float(value), row.get(f"{metric}_se"))
            for metric, value in zip(axes, table.front.values[index], strict=True)
        ]
        trial = table.trials[index]
        found = None if comparison is None else comparison.difference(trial)
        if found is not None and not found.can_be_told:
            values[0], is_doubtful = f"≈ {values[0]}", True
        grid.add_row(
            str(row["number"]),
            row["placement"],
            "yes" if row["is_pareto"] else ("no" if row["is_feasible"] else "bound"),
            *values,
            *([_test_text(row)] if is_tested else []),
            str(row[of_seeds]),
            row["baseline"] or "",
            style="" if row["is_feasible"] else "dim",
        )
    console.print(grid)
    share = summary["hypervolume_share"]
    point = ", ".join(
        f"{metric}={format_value(value)}"
        for metric, value in summary["reference"].items()
    )
    console.print(
        f"{summary['num_pareto']} of {summary['num_trials']} "
        f"{'networks' if table.num_seeds else 'trained trials'} are on the "
        f"front. Hypervolume {format_value(summary['hypervolume'])}"
        + (f" ({share:.1%} of the box up to the best values)" if share else "")
        + f", reference point {point}.",
    )
    if comparison is not None and is_doubtful:
        console.print(f"≈ {comparison.sentence()}.")
    for metric, icc in reliability_by_metric(table.trainings).items():
        if metric in axes:
            console.print(f"Reliability of one training of {metric}: {icc}.")
    if is_tested:
        console.print(
            "Accuracies are of validation images, by which networks were chosen; the "
            "test images were looked at once, afterwards.",
            highlight=False,
        )
    if summary["constraints"]:
        num_out = sum(not row["is_feasible"] for row in rows)
        console.print(
            f"{num_out} trials break {' or '.join(summary['constraints'])}.",
        )


def _test_text(row: dict[str, Any]) -> str:
    from nas.pareto.table import format_value

    return format_value(row["test_accuracy"], row["test_accuracy_se"])


def _loss(table: "ParetoTable", index: int) -> float:
    """Sorts by the first axis, best first, missing values last."""
    value = float(table.front.values[index, 0])
    if value != value:
        return float("inf")
    return -value if table.front.directions[0] == "maximize" else value
