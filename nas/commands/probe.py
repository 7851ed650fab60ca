"""`nas probe`: a trained CNN for the classes of one's own images."""

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
    "--to",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the network's weights, the new last layer included (safetensors).",
)
@click.option(
    "--from",
    "weights",
    metavar="WEIGHTS",
    help="Weights of the config's parent.model, of whatever classes.",
)
@click.option(
    "--images",
    "max_images",
    type=click.IntRange(min=20),
    default=10_000,
    show_default=True,
    help="Most training images that the layer is fitted to.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@set_option("Change one setting, e.g. data.image_size=96.")
@format_option()
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
def command(
    config: str,
    to: Path,
    weights: str | None,
    max_images: int,
    force: bool,
    overrides: tuple[str, ...],
    output: str,
    quiet: bool,
) -> None:
    r"""Fit the last layer of a trained CNN to the classes of your images.

    Weights of ImageNet know a thousand classes, your images have others. Everything
    before the last layer stays as it was; the layer is logistic regression on what
    goes into it (a linear probe). What is written goes on as parent.weights.

    \b
    nas probe cnn.yaml --to mine.safetensors
    nas search cnn.yaml --from mine.safetensors
    """
    from nas.commands.paths import check_images
    from nas.commands.search import start_from
    from nas.config import load_config, with_plugins
    from nas.figures.figure_file import require_directory

    if to.suffix != ".safetensors":
        raise InputError(f"weights are written to a .safetensors file; got {str(to)!r}")
    if to.exists() and not force:
        raise InputError(f"{str(to)!r} is there already", hint="--force replaces it")
    require_directory(to)
    changes = list(overrides)
    if weights is not None:
        changes += start_from(weights)
    check_images(config, changes)
    settings = with_plugins(load_config(config, changes))
    from safetensors.torch import save

    from nas.data.datasets import load_dataset
    from nas.ledger.atomic_file import write_atomically
    from nas.ledger.output_directory import output_directory
    from nas.scoring.linear_probe import fit_probe
    from nas.scoring.parent_space import normalisation_note, parent_config

    output_directory(to.parent, "the directory of the weights,")
    dataset = load_dataset(settings.data, quiet=quiet)
    probe = fit_probe(
        parent_config(settings),
        dataset,
        max_images=max_images,
        seed=settings.seed,
        tell=lambda line: None if quiet else say(line, err=True),
    )
    # Copies, because a network may use one tensor under two names.
    if note := normalisation_note(parent_config(settings), probe.model, settings.data):
        say(note, err=True)
    state = probe.model.state_dict()
    tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    write_atomically(to, save(tensors))
    if output == "json":
        record = {
            "file": str(to),
            "layer": probe.layer,
            "classes": list(dataset.class_names),
            "old_classes": probe.old_classes,
            "images": probe.num_images,
            "penalty": 1 / probe.strength,
            "accuracy": probe.accuracy,
        }
        say(json.dumps(record, indent=1))
        return
    before = f", {probe.old_classes} before" if probe.old_classes else ""
    say(f"{probe.layer}: {dataset.num_classes} classes{before}")
    say(
        f"fitted to {probe.num_images} images; {100 * probe.accuracy:.1f}% of "
        f"{len(dataset.validation.labels)} validation images"
    )
    say(f"weights: {to} (parent.weights={to})")
