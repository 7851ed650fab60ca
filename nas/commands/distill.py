"""`nas distill`: the block library of a trained CNN."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.naming import CONFIG
from nas.commands.options import format_option, set_option
from nas.terminal import say
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.config import SearchConfig


@click.command()
@click.argument("config", type=CONFIG, metavar="PRESET|CONFIG.yaml")
@click.option(
    "--out",
    required=True,
    type=click.Path(file_okay=False),
    help="Directory of the library; one that is there is completed.",
)
@click.option(
    "--from",
    "weights",
    metavar="WEIGHTS",
    help="The trained CNN, as for `nas search`.",
)
@set_option("Change one setting, e.g. parent.library.epochs=5.")
@format_option()
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    config: str,
    out: str,
    weights: str | None,
    overrides: tuple[str, ...],
    output: str,
    quiet: bool,
) -> None:
    r"""Teach every slot's other blocks to imitate the parent's own.

    Prints, for each, the error that is left on held-out images: 0 is the parent's own
    block, 1 one that puts out a constant. `nas search CONFIG --set
    parent.library.path=DIR` uses the library.

    \b
    nas distill cnn.yaml --out library
    """
    from nas.commands.paths import check_images
    from nas.commands.search import start_from
    from nas.config import load_config, with_plugins

    changes = list(overrides)
    if weights is not None:
        changes += start_from(weights)
    check_images(config, changes)
    settings = with_plugins(load_config(config, changes))
    from nas.scoring.parent_search import ParentSearch
    from nas.scoring.parent_space import parent_config

    if parent_config(settings).train:
        raise InputError(
            "nas distill teaches blocks of a trained CNN; with parent.train that is "
            "trained by nas search, which then teaches the blocks too"
        )
    search = ParentSearch(_with_library(settings, Path(out)), quiet, "library")

    def tell(line: str) -> None:
        if not quiet:
            say(line, err=True)

    if tasks := search.tasks(Path(out)):
        from nas.execution.cluster import ray_cluster
        from nas.execution.preparations import prepare
        from nas.execution.resources import Resources

        resources = Resources.of_trial(settings.resources)
        with ray_cluster(resources):
            if not prepare(
                tasks, search.data(), resources, Path(out) / "preparing", tell
            ):
                raise KeyboardInterrupt
    library = search.library(Path(out), tell)
    parent = search.parent
    names = dict(zip(parent.slots, parent.block_names, strict=True))
    rows = [
        {
            "stage": stage,
            "block": block,
            "letter": letter,
            "name": names[stage, block],
            "error": error,
        }
        for (stage, block, letter), error in sorted(library.errors.items())
    ]
    if output == "json":
        record = {"parent": library.fingerprint, "directory": out, "blocks": rows}
        say(json.dumps(record, indent=1))
        return
    say("slot  kind  relative error  block of the parent")
    for row in rows:
        say(
            f"{row['stage']}.{row['block']:<4}{row['letter']:<6}"
            f"{row['error']:<16.4f}{row['name']}"
        )
    say(f"library: {out}")


def _with_library(settings: "SearchConfig", directory: Path) -> "SearchConfig":
    """The config with the library that is to be made."""
    from nas.scoring.parent_space import parent_config

    parent = parent_config(settings).with_library(directory)
    return settings.model_copy(update={"parent": parent})
