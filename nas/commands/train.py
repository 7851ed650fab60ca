"""`nas train`: the winner, retrained and fairly compared."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

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
    "--set",
    "overrides",
    metavar="KEY.PATH=VALUE",
    multiple=True,
    help="Change one setting, e.g. training.recipe=paper.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs/train"),
    show_default=True,
    help="Study directory of the runs; the same command goes on where it stopped.",
)
@click.option("--no-baselines", is_flag=True, help="Train the given ones alone.")
@click.option("--address", metavar="local|auto|ray://HOST:PORT", help="Ray cluster.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
def command(
    architectures: tuple[str, ...],
    config: str,
    epochs: int | None,
    seeds: int,
    overrides: tuple[str, ...],
    out: Path,
    no_baselines: bool,
    address: str | None,
    quiet: bool,
    output: str,
) -> None:
    """Train architectures with the full recipe and several seeds.

    ARCHITECTURE.yaml is an alternet/1 file or a directory that `nas export` wrote. A
    network is also named: timm:NAME or torchvision:NAME, or vit (ours, with global or
    local attention), with options as in timm:vit_tiny_patch16_224,patch_size=4 or
    vit,width=64,depth=6,reach=5; no weights are downloaded.
    Of AlterNets, the all-Conv parent and the paper's rule are trained beside them at
    the same budget. The accuracies are of the test split.
    """
    from nas.commands.paths import check_architectures, check_config
    from search_spaces.parents.network_name import is_network

    check_config(config)
    check_architectures(name for name in architectures if not is_network(name))
    from nas.config import load_config
    from nas.train_run import Candidate, named_candidate, train_architectures
    from search_spaces import Architecture

    changes = list(overrides)
    if epochs is not None:
        changes.append(f"training.epochs={epochs}")
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
    )
    if output == "json":
        say(json.dumps([asdict(row) for row in rows]))
    else:
        _print(rows)
        say(f"the runs are in {out}", err=True)


def _print(rows: "list[TrainedRow]") -> None:
    from rich.table import Table

    table = Table(title="Test split, mean and standard deviation over seeds")
    for name in ("architecture", "placement"):
        table.add_column(name)
    for name in (
        "params",
        "MACs",
        "test accuracy",
        "test NLL",
        "val accuracy",
        "seeds",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        spread = (
            "" if row.test_accuracy_sd is None else f" ± {row.test_accuracy_sd:.4f}"
        )
        table.add_row(
            row.label,
            row.placement,
            f"{row.params:,}",
            f"{row.macs:,}",
            f"{row.test_accuracy:.4f}{spread}",
            f"{row.test_nll:.4f}",
            f"{row.val_accuracy:.4f}",
            str(row.num_seeds),
        )
    # A pipe has no width of its own; 120 columns hold the table.
    make_console(120).print(table)
