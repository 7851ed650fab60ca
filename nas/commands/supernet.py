"""`nas supernet`: train the supernets of a search ahead."""

import json
from pathlib import Path

import click

from nas.commands.naming import CONFIG
from nas.commands.options import format_option, set_option
from nas.terminal import say
from search_spaces.errors import InputError


@click.command()
@click.argument("config", type=CONFIG, metavar="PRESET|CONFIG.yaml")
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False),
    help="Directory of the supernets; those that are there are continued.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the first one.")
@set_option("Change one setting, e.g. scoring.supernets=5 or scoring.epochs=30.")
@format_option()
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    config: str,
    out: str,
    seed: int | None,
    overrides: tuple[str, ...],
    output: str,
    quiet: bool,
) -> None:
    r"""Train networks that all placements share, one after the other.

    `nas search CONFIG --set scoring.kind=supernet` trains its supernets itself, side by
    side in Ray's workers; with `--set scoring.path=DIR` it uses those that are here.

    \b
    nas supernet photos.yaml --out supernets
    """
    from nas.commands.paths import check_images
    from nas.config import load_config, with_plugins

    changes = [*overrides, "scoring.kind=supernet"]
    if seed is not None:
        changes.append(f"seed={seed}")
    check_images(config, changes)
    settings = with_plugins(load_config(config, changes))
    if (workers := settings.resources.workers_per_trial) > 1:
        raise InputError(
            "resources.workers_per_trial is for searches; nas supernet trains in one "
            f"process, so it must be 1, got {workers}"
        )
    from nas.scoring.supernet import FromSupernet

    def tell(line: str) -> None:
        if not quiet:
            say(line, err=True)

    scorer = FromSupernet(settings, quiet)
    files = scorer.files(Path(out))
    for one in files:
        one.train(scorer.data, tell=tell)
    rows = [{"seed": one.seed, "weights": str(one.weights)} for one in files]
    if output == "json":
        say(json.dumps({"directory": out, "supernets": rows}, indent=1))
        return
    for row in rows:
        say(f"supernet {row['seed']}: {row['weights']}")
