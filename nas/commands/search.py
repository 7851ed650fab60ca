"""`nas search`: train and compare placements on your images."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.naming import CONFIG, STUDY
from nas.commands.options import set_option
from nas.terminal import say
from search_spaces.errors import InputError, shown

if TYPE_CHECKING:
    from nas.config import SearchConfig

TRAIN = "train"
"""What ``--from`` says if there are no weights yet."""


@click.command()
@click.argument(
    "config", type=CONFIG, metavar="[PRESET|CONFIG.yaml]", default="quickstart"
)
@click.option("--out", type=click.Path(), help="Study directory.  [runs/NAME]")
@click.option("--trials", type=click.IntRange(min=1), help="Number of trials.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the search.")
@set_option(
    "Change one setting, e.g. training.epochs=20 or, quoted for the "
    "shell, 'tracking=[tensorboard]'."
)
@click.option(
    "--address",
    metavar="local|auto|ray://HOST:PORT",
    help="Run on this Ray cluster.  [local]",
)
@click.option(
    "--replay",
    "table",
    metavar="STUDY|TABLE",
    type=STUDY,
    help="Look results up in this table instead of training: seconds, no data, no Ray.",
)
@click.option(
    "--from",
    "weights",
    metavar="WEIGHTS|train",
    help="Start from a trained CNN: a directory of ours (export or trial), the weights "
    "of the config's parent.model, or `train` to train the all-Conv network first.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Search nothing: train two placements for a part of an epoch and tell hours, "
    "GPU hours and disk.",
)
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json"]),
    help="Of --dry-run.  [table]",
)
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    config: str,
    out: str | None,
    trials: int | None,
    seed: int | None,
    overrides: tuple[str, ...],
    address: str | None,
    table: Path | None,
    weights: str | None,
    dry_run: bool,
    output: str | None,
    quiet: bool,
) -> None:
    r"""Search placements; the result is a study directory.

    \b
    nas search                                 the preset quickstart
    nas search photos.yaml --trials 100
    nas search photos.yaml --dry-run           hours and disk, before it starts
    nas search cifar10 --set data.root=DIR --address auto
    nas search cnn.yaml --from weights.pt      where can attention enter a CNN?
    Presets: quickstart, images, cifar10, cifar10-fast, alternet50, rule.

    Without an argument the preset `quickstart` is run: real images that are
    installed along, a few minutes on two cores. `nas init DIR` writes a config for
    images of your own.
    """
    from nas.commands.paths import check_config

    if output is not None and not dry_run:
        raise InputError("--format is for --dry-run; a search prints its directory")
    check_config(config)
    from nas.config import load_config, read_config, with_plugins
    from nas.execution.cluster_address import check_somebody_listens
    from nas.study.new_directory import free_directory

    changes = list(overrides)
    if trials is not None:
        changes.append(f"search.trials={trials}")
    if weights is not None:
        changes += start_from(weights)
    if seed is not None:
        changes.append(f"seed={seed}")
    if table is not None:
        looked_up = {"kind": "recorded", "table": str(table.absolute())}
        changes.append(f"scoring={json.dumps(looked_up, ensure_ascii=False)}")
    # What is wrong here is answered before torch, Ray and Optuna are imported.
    given = read_config(config, changes, out).at_address(address)
    if not dry_run:
        free_directory(given.name, out)
    if given.scoring.kind != "recorded":
        given.data.check_there()
        check_somebody_listens(given.resources.address)
    settings = with_plugins(load_config(config, changes, out))
    if weights is not None and settings.scoring.kind == "scratch":
        changes.append("scoring.kind=distilled")
        settings = with_plugins(load_config(config, changes, out))
    if dry_run:
        _dry_run(settings, address, output, quiet)
        return
    from nas.search_run import SearchInterrupted, search

    if not quiet and settings.scoring.kind == "scratch":  # what is trained
        from nas.commands.design_power import power_of_search, thin_slots

        if settings.rule is not None:
            say(
                f"rule: the verdict is registered for {settings.rule.metric} (plan "
                f"{settings.rule.digest()}); other metrics are exploratory",
                err=True,
            )
        power = power_of_search(settings)
        if power is not None:
            say(f"power: {power}", err=True)
        if thin := thin_slots(settings):
            say(f"warning: {thin}", err=True)
    try:
        study = search(settings, out, address, quiet=quiet)
    except SearchInterrupted as stop:
        say(str(stop), err=True)
        raise
    say(study.path)


def _dry_run(
    settings: "SearchConfig", address: str | None, output: str | None, quiet: bool
) -> None:
    """Tell what the search will take."""
    from nas.execution.dry_run import measure_launch

    cost = measure_launch(
        settings.at_address(address),
        lambda line: None if quiet else say(line, err=True),
    )
    if output == "json":
        say(json.dumps(cost.to_dict()))
        return
    for line in cost.lines():
        say(line)


def start_from(weights: str) -> list[str]:
    """The settings of the parent that ``--from`` stands for.

    Args:
        weights: A directory with an AlterNet, a file of weights, or ``train``.

    Returns:
        ``key.path=value`` texts.

    Raises:
        InputError: There is no such file or directory.
    """
    if weights == TRAIN:
        return ["parent.train=true"]
    path = Path(weights).absolute()
    if not path.exists():
        raise InputError(
            "--from takes a directory with an AlterNet (an export, a trial), a file of "
            f"weights, or `{TRAIN}`; there is no {shown(weights)}"
        )
    if path.is_dir() and not (path / "architecture.yaml").is_file():
        raise InputError(
            "a directory of --from holds an AlterNet: an export, or a trial "
            f"STUDY/trials/NUMBER; {shown(weights)} has no architecture.yaml"
        )
    # Not escaped: JSON writes what is beyond 16 bits in a way that is no YAML.
    text = json.dumps(str(path), ensure_ascii=False)
    if not path.is_dir():
        return [f"parent.weights={text}"]
    # It has weights of its own: those that the config names are of another network.
    others = ("weights=null", "pretrained=false", "slots=null")
    return [f"parent.model={text}", *(f"parent.{one}" for one in others)]
