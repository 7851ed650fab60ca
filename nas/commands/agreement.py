"""`nas agreement`: do cheap scores rank placements as training them does?"""

import json
from pathlib import Path

import click

from nas.commands.fitted_table import Column, print_fitted
from nas.commands.naming import STUDY
from nas.commands.options import format_option
from nas.terminal import make_console, say


@click.command()
@click.argument("source", metavar="STUDY|TABLE", type=STUDY)
@click.option(
    "--scores",
    metavar="STUDY|TABLE",
    type=STUDY,
    help="Where placements were scored.  [the first step of a search in two steps]",
)
@click.option("--metric", help="What was measured.  [the study's first objective]")
@click.option(
    "--part",
    type=click.Choice(["random", "all"]),
    help="Placements drawn without a look at the scores, or all.  [random if known]",
)
@format_option()
def command(
    source: Path, scores: Path | None, metric: str | None, part: str | None, output: str
) -> None:
    r"""Compare scores of placements with what training them measured in STUDY.

    Rank correlations with 95% intervals over placements, beside what seed noise allows,
    and beside what costs and a count of the replaced blocks reach without any score.

    \b
    nas agreement runs/two_steps
    nas agreement runs/trained --scores runs/supernets
    """
    from nas.prediction.score_agreement import score_agreement

    found = score_agreement(source, scores, metric=metric, part=part)
    if output == "json":
        say(json.dumps(found.to_dict(), indent=1))
        return
    console = make_console()
    which = "drawn at random" if found.part == "random" else "in common"
    console.print(
        f"{found.metric}: {found.num_placements} placements {which}, "
        f"{found.num_repeated} of them trained with several seeds"
    )
    rows = [
        (
            one.name if one.is_score else f"{one.name} (no score)",
            str(one.spearman),
            str(one.kendall),
        )
        for one in found.predictors
    ]
    if (ceiling := found.ceiling) is not None:
        interval = f"[{ceiling.kendall_low:.2f}, {ceiling.kendall_high:.2f}]"
        rows.append(
            (
                "what seed noise allows",
                f"{ceiling.spearman:.2f}",
                f"{ceiling.kendall:.2f} {interval}",
            )
        )
    names, spearman, kendall = zip(*rows, strict=True) if rows else ((), (), ())
    print_fitted(
        "Rank agreement",
        [
            Column("", names, is_text=True),
            Column("Spearman", spearman),
            Column("Kendall", kendall, 1),
        ],
        complete="--format json",
    )
    if found.ceiling is None:
        console.print(
            "What seed noise allows is not known: train some placements with several "
            "seeds (search.replicates, search.replicate_first)."
        )
