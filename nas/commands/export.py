"""`nas export`: models that run without the search."""

from pathlib import Path

import click

from nas.commands.naming import STUDY
from nas.commands.problems import say_problems
from nas.terminal import say
from search_spaces.errors import InputError

FORMATS = "yaml,safetensors"
KNOWN = "yaml, safetensors, onnx, pt2, timm, or all"


@click.command()
@click.argument("study", type=STUDY)
@click.argument("which", metavar="[NUMBER|best|latest|pareto]", default="best")
@click.option(
    "--to",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory of the export; new, empty, or an earlier export with --force.",
)
@click.option(
    "--formats",
    metavar="LIST",
    default=FORMATS,
    show_default=True,
    help=f"Comma-separated: {KNOWN}.",
)
@click.option(
    "--quantize",
    is_flag=True,
    help="Also write the ONNX graph in 8-bit integers, with ranges from training "
    "images, and measure its accuracy.",
)
@click.option(
    "--license",
    "licence",
    metavar="NAME",
    default="",
    help="Licence of the weights (e.g. cc-by-4.0), for the model card.",
)
@click.option(
    "--push",
    metavar="USER/NAME",
    help="Also upload the model to the Hugging Face hub, with timm's layout if it has "
    "one; the token is that of `hf auth login`.",
)
@click.option("--private", is_flag=True, help="With --push: a private repository.")
@click.option("--force", is_flag=True, help="Replace an earlier export.")
@click.option(
    "--plugin",
    "plugins",
    metavar="MODULE",
    multiple=True,
    help="Import this module of yours first: it registers the study's data set or kind "
    "of block, or makes its parent.",
)
def command(
    study: Path,
    which: str,
    directory: Path,
    formats: str,
    quantize: bool,
    licence: str,
    push: str | None,
    private: bool,
    force: bool,
    plugins: tuple[str, ...],
) -> None:
    r"""Export trials of STUDY: a number, the best or latest, or the whole Pareto front.

    "best" is the trial with the best value of the study's first objective. Every file
    is checked against the network before the export is put in its place.

    \b
    nas export runs/photos best --to winner
    nas export runs/photos pareto --to front --formats onnx,timm
    """
    from nas.exporting.format import Format, require_packages
    from nas.study.study import Study

    opened = Study.open(study)
    names = [name.strip() for name in formats.split(",")]
    for name in names:
        if name not in [*Format, "all"]:
            raise InputError(f"formats are {KNOWN}; got {name!r}")
    wanted = [Format(name) for name in names if name != "all"]
    if "all" in names:
        # timm's layout is not among those of some parents, which are known later.
        of_parent = opened.config.parent is not None
        wanted += [f for f in Format if not (of_parent and f == Format.TIMM)]
    require_packages([*wanted, *([Format.ONNX] if quantize else [])])
    # Only now: what is wrong here is answered before torch is imported.
    from nas.exporting import hub
    from nas.exporting.exporter import export, formats_of
    from nas.plugins import import_plugins
    from nas.scoring.trial_network import trial_network

    import_plugins(plugins)
    if push is not None:
        hub.check_repo(push)
        if which == "pareto":
            raise InputError(
                "--push takes one model, a number, 'best' or 'latest'; got 'pareto'"
            )
        if Format.TIMM in formats_of(opened):
            names.append("timm")
    if private and push is None:
        raise InputError("--private is for --push USER/NAME")
    if "all" in names:
        names = [str(one) for one in formats_of(opened)]
    written = export(
        opened,
        which,
        directory,
        [Format(n) for n in names],
        force=force,
        quantize=quantize,
        license=licence,
        plugins=plugins,
        network_of=trial_network,
        tell=lambda line: say(line, err=True),
    )
    for path in written:
        say(path)
    say_problems(opened)
    if push is not None:
        say(f"uploading to {push}", err=True)
        say(hub.push(written[0], push, private=private))
