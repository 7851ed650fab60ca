"""`nas init`: from a directory of images to a commented config."""

from pathlib import Path

import click

from nas.terminal import say
from search_spaces.errors import InputError


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    default=Path("images.yaml"),
    show_default=True,
    help="File to write; '-' prints it.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option(
    "--time",
    "timed",
    is_flag=True,
    help="Also tell hours and disk of the search: trains its cheapest and dearest "
    "network for a part of an epoch.",
)
def command(directory: Path, target: Path, force: bool, timed: bool) -> None:
    r"""Look at the images of DIRECTORY and write a config for searching on them.

    DIRECTORY holds one directory per class, or train/, val/ and test/ of such.

    \b
    nas init photos --to photos.yaml
    nas init photos --time         and how long the search will take here
    nas space photos.yaml --time   what it costs
    nas search photos.yaml
    """
    from nas.data.first_config import FirstConfig, look_at

    if not directory.is_dir():
        raise InputError(
            f"nas init looks at a directory of images; {directory} is a file"
            if directory.exists()
            else f"nas init looks at a directory of images; there is no {directory}"
        )
    if str(target) != "-" and target.exists() and not force:
        raise InputError(f"{target} is there already; --force replaces it, or use --to")
    seen = look_at(directory)
    for note in seen.notes:
        say(note, err=True)
    proposal = FirstConfig.of(seen)
    steps = max(1, seen.num_kept // proposal.batch_size)
    budget = (
        f"{proposal.trials} trials of {proposal.epochs} epochs: "
        f"{proposal.trials * proposal.epochs * steps:,} steps of "
        f"{proposal.batch_size} images"
    )
    if timed:
        from nas.commands.space import measured_cost
        from nas.config import config_from_dict
        from search_spaces.yaml_text import parse_yaml

        settings = config_from_dict(parse_yaml(proposal.yaml()))
        budget = "\n".join([budget, *measured_cost(settings).lines()])
    text = proposal.yaml(budget.replace("\n", "\n# "))
    if str(target) == "-":
        say(text.removesuffix("\n"))
        return
    from nas.ledger.atomic_file import write_atomically

    try:
        write_atomically(target, text)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from error
    say(
        f"wrote {target}: {seen.text()}, at {proposal.image_size} px, "
        f"{proposal.backbone}\n{budget}",
        err=True,
    )
    cost = "" if timed else f"nas space {target} --time; "
    say(f"next: nas doctor {target}; {cost}nas search {target}", err=True)
