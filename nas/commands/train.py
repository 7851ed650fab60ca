"""`nas train`: the winner, retrained and fairly compared."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.fitted_table import Column, csv_text, latex, markdown, print_fitted
from nas.commands.naming import FIGURE
from nas.commands.options import set_option
from nas.human_number import human_number
from nas.terminal import make_console, say

if TYPE_CHECKING:
    from nas.train_run import TrainedRow


@click.command()
@click.argument(
    "architectures", metavar="ARCHITECTURE.yaml|timm:NAME...", nargs=-1, required=True
)
@click.option(
    "--config",
    required=True,
    metavar="PRESET|CONFIG.yaml|STUDY",
    help="Where data and recipe come from: the study that the architecture is of, the "
    "recipe.yaml of an export, a preset or a config file.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the config's.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Runs of each architecture.",
)
@click.option(
    "--seed",
    "first_seed",
    metavar="N",
    type=click.IntRange(min=0),
    help="First of the seeds.  [the config's + 1000: not one that a network was chosen "
    "with]",
)
@set_option("Change one setting, e.g. training.recipe=paper.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/train"),
    show_default=True,
    help="Study directory of the runs; the same command goes on where it stopped.",
)
@click.option(
    "--plot",
    metavar="FILE",
    type=FIGURE,
    help="Also draw the runs (curves, test accuracies) into a PNG, SVG or PDF file.",
)
@click.option("--no-baselines", is_flag=True, help="Train the given ones alone.")
@click.option("--address", metavar="local|auto|ray://HOST:PORT", help="Ray cluster.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "markdown", "latex", "csv", "json"]),
    default="table",
    show_default=True,
)
def command(
    architectures: tuple[str, ...],
    config: str,
    epochs: int | None,
    seeds: int,
    first_seed: int | None,
    overrides: tuple[str, ...],
    out: Path,
    plot: Path | None,
    no_baselines: bool,
    address: str | None,
    quiet: bool,
    output: str,
) -> None:
    r"""Train architectures with the full recipe and several seeds.

    \b
    nas train winner/architecture.yaml --config runs/photos --seeds 5
    nas train winner --config winner/recipe.yaml --format latex > table.tex
    nas train winner --config winner/recipe.yaml --set data.root=photos

    ARCHITECTURE.yaml is an alternet/1 file or a directory that `nas export` wrote. A
    network is also named: timm:NAME or torchvision:NAME, or vit (ours, with global or
    local attention), with options as in timm:vit_tiny_patch16_224,patch_size=4 or
    vit,width=64,depth=6,reach=5; no weights are downloaded.
    Of AlterNets, the all-Conv parent and the paper's rule are trained beside them at
    the same budget. The accuracies are of the test split.
    """
    from nas.commands.paths import check_architectures, check_images
    from search_spaces.parents.network_name import is_network

    changes = list(overrides)
    if epochs is not None:
        changes.append(f"training.epochs={epochs}")
    check_images(config, changes)
    check_architectures(name for name in architectures if not is_network(name))
    from nas.config import load_config
    from nas.train_run import (
        FRESH,
        Candidate,
        named_candidate,
        train_architectures,
    )
    from search_spaces import Architecture

    settings = load_config(config, changes)
    candidates = []
    for name in architectures:
        if is_network(name):
            candidates.append(named_candidate(name, settings))
            continue
        path = Path(name)
        path = path / "architecture.yaml" if path.is_dir() else path
        label = path.parent.name if path.name == "architecture.yaml" else path.stem
        candidates.append(Candidate(label, Architecture.from_yaml(path)))
    rows = train_architectures(
        candidates,
        settings,
        num_seeds=seeds,
        out=out,
        address=address,
        baselines=not no_baselines,
        quiet=quiet,
        first_seed=settings.seed + FRESH if first_seed is None else first_seed,
    )
    if plot is not None:
        from nas.figures.trained import draw
        from nas.study.study import Study

        draw(Study.open(out), rows, plot)
        say(f"drew {plot}", err=True)
    _print(rows, output)
    if output == "table":
        say(f"the runs are in {out}", err=True)


def _columns(rows: "list[TrainedRow]") -> list[Column]:
    """The table of a paper, column by column; the last rank goes first."""

    def points(mean: float | None, sd: float | None) -> str:
        if mean is None or mean != mean:
            return "–"
        return f"{100 * mean:.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")

    def difference(row: "TrainedRow") -> str:
        if row.difference is None:
            return "–"
        text = f"{100 * row.difference:+.2f}"
        if row.difference_ci is not None:
            low, high = row.difference_ci
            text += f" [{100 * low:+.2f}, {100 * high:+.2f}]"
        return text

    def nll(row: "TrainedRow") -> str:
        spread = "" if row.test_nll_sd is None else f" ± {row.test_nll_sd:.3f}"
        return f"{row.test_nll:.3f}{spread}"

    speed = [human_number(row.images_per_s) for row in rows]
    tested = [points(row.test_accuracy, row.test_accuracy_sd) for row in rows]
    watched = [points(row.val_accuracy, row.val_accuracy_sd) for row in rows]
    return [
        Column("architecture", [row.label for row in rows], 0, is_text=True),
        Column("placement", [row.placement for row in rows], 5, is_text=True),
        Column("params", [human_number(row.params) for row in rows], 1),
        Column("MACs", [human_number(row.macs) for row in rows], 4),
        Column("images/s", speed, 6),
        Column("seeds", [str(row.num_seeds) for row in rows], 2),
        Column("test %", tested, 0),
        Column("− all-Conv [95%]", [difference(row) for row in rows], 0),
        Column("test NLL", [nll(row) for row in rows], 3),
        Column("validation %", watched, 7),
    ]


def _print(rows: "list[TrainedRow]", output: str) -> None:
    columns = _columns(rows)
    if output == "json":
        say(json.dumps([asdict(row) for row in rows]))
        return
    if output == "csv":
        say(csv_text([_flat(row) for row in rows]))
        return
    if output == "markdown":
        say(markdown(columns))
    elif output == "latex":
        say(latex(columns))
    else:
        title = "Test split: mean and standard deviation over seeds"
        print_fitted(title, columns)
    for row in rows:
        if row.difference is not None and output == "table":
            make_console().print(row.verdict())
        elif row.difference is not None:
            say(row.verdict(), err=True)


def _flat(row: "TrainedRow") -> dict[str, object]:
    record = asdict(row)
    del record["runs"]
    low, high = record.pop("difference_ci") or (None, None)
    return record | {"difference_low": low, "difference_high": high}
