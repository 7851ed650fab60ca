"""`nas claims`: the paper's nine claims, measured on the user's images."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.fitted_table import Column, print_fitted
from nas.commands.naming import CONFIG
from nas.commands.options import format_option, set_option
from nas.terminal import say

if TYPE_CHECKING:
    from nas.claims.run import ClaimsRun


@click.command()
@click.argument(
    "config", type=CONFIG, metavar="[PRESET|CONFIG.yaml]", default="quickstart"
)
@set_option("Change one setting, e.g. claims.seeds=5 or training.epochs=20.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/claims"),
    show_default=True,
    help="Trainings, tables and figures; the same command goes on where it stopped.",
)
@click.option(
    "--table",
    metavar="STUDY|TABLE",
    help="Study or table of trials from which claim 7 is read, as by `nas rule`.",
)
@click.option("--address", metavar="local|auto|ray://HOST:PORT", help="Ray cluster.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@format_option()
def command(
    config: str,
    overrides: tuple[str, ...],
    out: Path,
    table: str | None,
    address: str | None,
    quiet: bool,
    output: str,
) -> int:
    r"""Measure the paper's nine claims on your images.

    A ResNet, the AlterNet of the paper's rule, a ViT with global attention and two
    with local attention are trained at equal MACs and budget, with several seeds; every
    claim gets its numbers, an interval, and: holds, does not hold, or cannot tell.

    \b
    nas claims                                 on the digits of the quickstart
    nas claims photos.yaml --out runs/claims
    """
    from nas.claims.plan import load_plan

    if table is not None:
        overrides = (*overrides, f"claims.table={json.dumps(table)}")
    settings, plan = load_plan(config, overrides)

    from nas.claims.run import run_claims
    from nas.claims.table import to_dict
    from nas.claims.writing import write_claims
    from nas.ledger.json_null import json_null

    run = run_claims(settings, plan, out, address=address, quiet=quiet)
    files = write_claims(run, out)
    if output == "json":
        say(json.dumps(json_null(to_dict(run))))
    else:
        _print(run)
    for line in run.trained.failures:
        say(f"no result: {line}", err=True)
    if not quiet:
        say(f"wrote {', '.join(str(file) for file in files[:4])}", err=True)
    return 0


def _print(run: "ClaimsRun") -> None:
    from nas.claims.table import counts, interval_text, to_dict

    # claim or comparison, value, interval, unit, claimed side, verdict
    lines: list[tuple[str, str, str, str, str, str]] = []
    sections: list[int] = []
    rows = to_dict(run)["rows"]
    for row in rows:
        head = f"{row['number']} {row['claim']}"
        lines.append((head, "", "", "", "", row["verdict"]))
        for part in row["parts"]:
            value, interval = interval_text(part)
            side = part["claimed"].replace("above", ">").replace("below", "<")
            compared = f"  {part['compared']}"
            lines.append((compared, value, interval, part["unit"], side, ""))
        sections.append(len(lines) - 1)
    claims, values, intervals, units, sides, verdicts = zip(*lines, strict=True)
    print_fitted(
        f"{run.config.data.name}: {counts(run)}",
        [
            Column("claim", claims, is_text=True, wraps=True),
            Column("value", values),
            Column("95% interval", intervals),
            Column("unit", units, 2, is_text=True),
            Column("claimed", sides, 1, is_text=True),
            Column("verdict", verdicts, is_text=True),
        ],
        complete="--format json",
        sections=sections,
    )
    for row in rows:
        if row["note"]:
            say(f"{row['number']}: {row['note']}")
