"""`nas pareto`: which trials nothing beats, as a table, JSON, CSV or figure."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.commands.fitted_table import Column, markdown, print_fitted
from nas.commands.naming import FIGURE, STUDY
from nas.commands.problems import say_problems
from nas.csv_text import csv_row
from nas.terminal import make_console, say

if TYPE_CHECKING:
    from nas.ledger.held_out_results import TestResult
    from nas.pareto.front import Floats
    from nas.pareto.table import ParetoTable
    from nas.prediction.winner import JudgedPlacement
    from nas.study.study import Study

    Tested = dict[int, TestResult]


@click.command()
@click.argument("study", type=STUDY)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "markdown", "json", "csv"]),
    default="table",
    show_default=True,
    help="What is printed. The table shows the front and the baselines; JSON and CSV "
    "hold every measured trial with a column is_pareto.",
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
    multiple=True,
    help="A further study, measured from the same reference point; as often as wanted.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Compare studies of other images, image sizes or budgets all the same.",
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
    type=FIGURE,
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
    compare: tuple[Path, ...],
    force: bool,
    reference: str | None,
    plot: Path | None,
    mean_of_seeds: bool,
    show_all: bool,
) -> None:
    r"""Show the trials of STUDY that no other trial beats in every objective.

    \b
    nas pareto runs/photos --plot front.png
    nas pareto runs/a --compare runs/b --compare runs/c --format markdown
    nas pareto latest --metrics accuracy,params --constraint 'macs<=1e9'
    """
    from nas.pareto.front import common_reference
    from nas.pareto.table import Constraint, ParetoTable, parse_axes
    from nas.study.study import Study

    first = Study.open(study)
    axes = first.objectives
    if metrics:
        axes = parse_axes(metrics, first.objectives, first.metric_facts)
    bounds = [Constraint.parse(text) for text in constraints]
    studies = [first, *map(Study.open, compare)]
    _check_comparable(studies, force)
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
    for opened in studies:
        say_problems(opened)
    from nas.prediction.winner import judge_placements  # scipy: only where it is used

    seen = [
        _Seen(
            table,
            opened.test_results(),
            judge_placements(opened, {one.placement for one in table.on_front}),
        )
        for table, opened in zip(tables, studies, strict=True)
    ]
    if output == "json":
        say(json.dumps(_as_json(seen, point)))
    elif output == "csv":
        _print_csv(seen)
    else:
        for one in seen:
            _print_table(one, point, show_all, output)
        if output == "markdown":
            return
        for one in seen:
            for judged in one.judged.values():
                if judged.is_winner:
                    make_console().print(judged.sentence())


@dataclass(frozen=True)
class _Seen:
    """A table with what is known of its trials besides.

    Attributes:
        table: The trials.
        tested: How they did on the test images, by number.
        judged: What the model makes of each placement.
    """

    table: "ParetoTable"
    tested: "Tested"
    judged: "Mapping[str, JudgedPlacement]"

    def rows(self) -> list[dict[str, Any]]:
        """One plain row per trial."""
        judged = {name: one.columns() for name, one in self.judged.items()}
        return self.table.rows(self.tested, judged)


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


def _as_json(seen: "list[_Seen]", reference: "Floats") -> dict[str, Any]:
    described = [{**one.table.summary(reference), "trials": one.rows()} for one in seen]
    if len(described) == 1:
        return described[0]
    # `compare` as before there could be several; `others` has them all
    return described[0] | {"compare": described[1], "others": described[1:]}


def _print_csv(seen: "list[_Seen]") -> None:
    rows = [
        csv_row(({"study": one.table.name} if len(seen) > 1 else {}) | row)
        for one in seen
        for row in one.rows()
    ]
    if rows:
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        say(text.getvalue().removesuffix("\n"))


def _check_comparable(studies: "Sequence[Study]", force: bool) -> None:
    """Refuse studies whose numbers mean different things.

    Raises:
        InputError: Images, image size, budget or scorer differ, and nobody insists.
    """
    from search_spaces.errors import InputError

    if len(studies) == 1:
        return
    first, *others = (_conditions(study) for study in studies)
    for study, other in zip(studies[1:], others, strict=True):
        differ = [
            f"{what} {first[what]} and {value}"
            for what, value in other.items()
            if None not in (value, first[what]) and value != first[what]
        ]
        if not differ:
            continue
        found = f"{studies[0].name} and {study.name} differ: {'; '.join(differ)}"
        if not force:
            raise InputError(
                f"fronts are compared on the same images at the same budget; {found}",
                hint="--force compares them all the same",
            )
        say(f"warning: {found}; a difference between fronts may be that", err=True)


def _conditions(study: "Study") -> dict[str, Any]:
    """What must be equal for two numbers to be comparable; ``None`` is unknown."""
    from nas.ledger.trial import TrialState

    done = [t for t in study.trials() if t.state == TrialState.COMPLETE]
    epochs = sorted({trial.epochs for trial in done})
    sizes = sorted({int(t.architecture.get("image_size", 0)) for t in done} - {0})
    scorers = sorted({trial.scorer for trial in done})
    return {
        "images (fingerprint)": study.header.get("data_fingerprint"),
        "image size": _one_or_all(sizes),
        "epochs": _one_or_all(epochs),
        "scorer": _one_or_all(scorers),
    }


def _one_or_all(values: list[Any]) -> Any:
    return None if not values else values[0] if len(values) == 1 else values


def _print_table(
    seen: "_Seen", reference: "Floats", show_all: bool, output: str
) -> None:
    from nas.pareto.table import format_value, short_value

    table = seen.table
    summary = table.summary(reference)
    axes = table.front.metrics
    rows = seen.rows()
    if not rows and output == "table":
        say(f"{table.name}: no trial has been measured yet")
        return
    is_tested = any(row.get("test_accuracy") is not None for row in rows)
    best_first = sorted(
        range(len(rows)),
        key=lambda i: (not rows[i]["is_pareto"], _loss(table, i)),
    )
    shown = [
        index
        for index in best_first
        if show_all or rows[index]["is_pareto"] or rows[index]["baseline"]
    ]

    def cells(name: str) -> list[str]:
        return [str(rows[index][name] or "") for index in shown]

    def on_front(row: dict[str, Any]) -> str:
        return "yes" if row["is_pareto"] else ("no" if row["is_feasible"] else "bound")

    columns = [
        Column("number", [str(rows[index]["number"]) for index in shown]),
        Column("placement", cells("placement"), is_text=True),
        Column("front", [on_front(rows[index]) for index in shown], is_text=True),
    ]
    for axis, (metric, direction) in enumerate(
        zip(axes, table.front.directions, strict=True)
    ):
        arrow = "↑" if direction == "maximize" else "↓"
        values = [
            short_value(
                float(table.front.values[index, axis]), rows[index].get(f"{metric}_se")
            )
            for index in shown
        ]
        # The first two axes stay whatever happens.
        columns.append(Column(f"{metric} {arrow}", values, 0 if axis < 2 else 1))
    if seen.judged:
        metric = next(iter(seen.judged.values())).metric
        expected = [rows[index][f"{metric}_expected"] for index in shown]
        p_best = [rows[index]["p_best"] for index in shown]
        columns += [
            Column("expected", _texts(expected, format_value), 2),
            Column("p best", _texts(p_best, "{:.2f}".format), 2),
        ]
    if is_tested:
        columns.append(
            Column("test accuracy", [_test_text(rows[index]) for index in shown], 2)
        )
    of_seeds = "num_seeds" if table.num_seeds else "seed"
    columns.append(Column(of_seeds, [str(rows[i][of_seeds]) for i in shown], 4))
    columns.append(Column("baseline", cells("baseline"), 3, is_text=True))
    if output == "markdown":
        say(f"**{table.name}**\n\n{markdown(columns)}\n\n{_size(table, summary)}\n")
        return
    left_out = print_fitted(f"{table.name}: the front", columns)
    console = make_console()
    named = sorted(
        (rows[index]["number"], rows[index]["baseline"])
        for index in shown
        if rows[index]["baseline"]
    )
    if "baseline" in left_out:
        of = ", ".join(f"{number} {baseline}" for number, baseline in named)
        console.print(f"Baselines by number: {of}.")
    console.print(_size(table, summary))
    if is_tested:
        console.print(
            "Accuracies are of validation images, by which networks were chosen; the "
            "test images were looked at once, afterwards.",
            highlight=False,
        )
    if seen.judged:
        console.print(
            "expected: over seeds, as a linear model of the placements has it, which "
            "takes off the luck of the best; p best: probability of being the best of "
            "all measured placements.",
            highlight=False,
        )
    if summary["constraints"]:
        num_out = sum(not row["is_feasible"] for row in rows)
        console.print(
            f"{num_out} trials break {' or '.join(summary['constraints'])}.",
        )


def _size(table: "ParetoTable", summary: dict[str, Any]) -> str:
    """How many trials are on the front, and its hypervolume."""
    from nas.pareto.table import format_value

    share = summary["hypervolume_share"]
    point = ", ".join(
        f"{metric}={format_value(value)}"
        for metric, value in summary["reference"].items()
    )
    return (
        f"{summary['num_pareto']} of {summary['num_trials']} "
        f"{'networks' if table.num_seeds else 'measured trials'} are on the "
        f"front. Hypervolume {format_value(summary['hypervolume'])}"
        + (f" ({share:.1%} of the box up to the best values)" if share else "")
        + f", reference point {point}."
    )


def _texts(
    values: "Sequence[float | None]", text: "Callable[[float], str]"
) -> list[str]:
    return ["" if value is None else text(value) for value in values]


def _test_text(row: dict[str, Any]) -> str:
    from nas.pareto.table import format_value

    return format_value(row["test_accuracy"], row["test_accuracy_se"])


def _loss(table: "ParetoTable", index: int) -> float:
    """Sorts by the first axis, best first, missing values last."""
    value = float(table.front.values[index, 0])
    if value != value:
        return float("inf")
    return -value if table.front.directions[0] == "maximize" else value
