"""`nas doctor`: whether this machine can run a search, before one is started."""

import json
from pathlib import Path

import click

from nas.commands.naming import CONFIG
from nas.commands.options import format_option, set_option
from nas.commands.paths import check_config
from nas.execution.cluster_address import check_somebody_listens
from nas.terminal import say
from search_spaces.errors import InputError


@click.command()
@click.argument("config", type=CONFIG, required=False, metavar="[PRESET|CONFIG.yaml]")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Where studies will be written: checked for room, speed and locks.",
)
@click.option(
    "--address",
    metavar="local|auto|ray://HOST:PORT",
    help="Also connect to this Ray cluster (local starts one) and look at every node.",
)
@set_option("Change one setting of the config, e.g. data.root=photos.")
@format_option()
def command(
    config: str | None,
    out: Path,
    address: str | None,
    overrides: tuple[str, ...],
    output: str,
) -> int:
    r"""Check torch, processor, GPU, Ray, ports, disk and file limits.

    Exit code 1 if something will not work; warnings alone are 0. With a config, also
    whether it is right and its images are there (exit code 2): of a directory a sample
    is decoded, and start and end of all others are read.

    \b
    nas doctor
    nas doctor images.yaml --out /shared/runs
    nas doctor images --set data.root=photos
    nas doctor --out /shared/runs --address auto      every node of a cluster
    """
    if overrides and config is None:
        raise InputError("--set changes a setting of a config; none was named")
    if config is not None:
        check_config(config)
    if address is not None:
        check_somebody_listens(address)
    from nas.execution.doctor import Level, examine

    findings = examine(out, config, overrides)
    if address is not None:
        from nas.execution.node_doctor import examine_nodes

        findings += examine_nodes(out, address)
    if output == "json":
        say(json.dumps([one.to_dict() for one in findings], indent=1))
    else:
        marks = {Level.GOOD: "ok  ", Level.WARNING: "warn", Level.BAD: "BAD "}
        for one in findings:
            say(f"{marks[one.level]} {one.what}: {one.found}")
            if one.advice:
                say(f"       {one.advice}")
    return 1 if any(one.level is Level.BAD for one in findings) else 0
