"""`nas rule`: does an MSA belong at the end of a stage, by the trials of a table."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.commands.fitted_table import Column, print_fitted
from nas.commands.naming import FIGURE, STUDY
from nas.commands.options import format_option
from nas.terminal import make_console, say
from search_spaces.errors import InputError

if TYPE_CHECKING:
    from nas.rule.declared_metric import Direction
    from nas.rule.effect import Effect
    from nas.rule.rule_test import RuleTest


@click.command()
@click.argument("source", metavar="STUDY|TABLE", type=STUDY)
@click.option("--metric", default="accuracy", show_default=True, help="Column to test.")
@click.option(
    "--direction",
    type=click.Choice(["maximize", "minimize"]),
    help="Which way the metric is better; known for the metrics of nas evaluate.",
)
@click.option(
    "--smallest-effect",
    metavar="SIZE",
    type=float,
    help="Smallest effect of interest in the metric's unit: the verdict is negligible "
    "if the 90% interval lies inside it.  [0.005 for metrics that are fractions]",
)
@click.option(
    "--letter",
    default="M",
    show_default=True,
    help="Kind of block to compare with C; what other kinds do is held fixed. Where no "
    "placement has an M, the only other kind.",
)
@format_option()
@click.option(
    "--plot",
    metavar="FILE",
    type=FIGURE,
    help="Also draw the effects into a PNG, SVG or PDF file.",
)
@click.option(
    "--budgets",
    is_flag=True,
    help="Instead, the end-of-stage effect against epochs, from the learning curves of "
    "a study, and whether it changes its sign.",
)
@click.option(
    "--scores",
    metavar="STUDY|TABLE",
    type=STUDY,
    help="Instead, the effects with the help of scores of all placements, e.g. of "
    "supernets, as a control variate; without a verdict.",
)
def command(
    source: Path,
    metric: str,
    direction: "Direction | None",
    smallest_effect: float | None,
    letter: str,
    output: str,
    plot: Path | None,
    budgets: bool,
    scores: Path | None,
) -> None:
    r"""Test the rule "MSAs belong at the end of a stage" on trials.

    STUDY is a directory that nas search made. TABLE is a .csv or .parquet file with the
    columns placement (e.g. CCC-CCM) and the metric; seed, epochs, state, params and
    cluster are used if they are there.

    \b
    nas rule runs/photos --plot rule.png
    nas rule trials.csv --metric nll
    nas rule runs/photos --scores runs/supernets
    """
    if budgets and scores is not None:
        raise InputError("--budgets and --scores are two questions; ask one at a time")
    if budgets:
        if smallest_effect is not None:
            raise InputError("--smallest-effect is about a verdict; --budgets has none")
        _budgets(source, metric, direction, letter, output, plot)
        return
    if scores is not None:
        for given, option in ((smallest_effect, "--smallest-effect"), (plot, "--plot")):
            if given is not None:
                raise InputError(f"{option} is about a verdict; --scores has none")
        _with_scores(source, scores, metric, direction, letter, output)
        return
    from nas.rule.rule_test import rule_test

    test = rule_test(source, metric, direction, smallest_effect, letter)
    if plot is not None:
        from nas.figures.rule import draw, rule_figure

        draw(rule_figure(test), plot)
        say(f"drew {plot}", err=True)
    if output == "json":
        say(json.dumps(test.to_dict(), indent=2, allow_nan=False))
    else:
        _print(test)


def _budgets(
    source: Path,
    metric: str,
    direction: "Direction | None",
    letter: str,
    output: str,
    plot: Path | None,
) -> None:
    from nas.figures.rule_budgets import SIGN, draw
    from nas.rule.budgets import budget_effects

    found = budget_effects(source, metric, direction, letter)
    if plot is not None:
        draw(found, plot)
        say(f"drew {plot}", err=True)
    if output == "json":
        say(json.dumps(found.to_dict(), indent=2, allow_nan=False))
        return
    console = make_console()
    console.print(
        f"{found.metric} ({found.direction}): {found.num_trials} trials of "
        f"{found.num_placements} placements, {found.sampling} sampling"
    )
    rows = [
        (str(epochs), effect, found.is_exploratory(epochs))
        for epochs, effect in found.effects.items()
    ]
    change = ("last minus first", found.change, found.is_exploratory())
    named = [*rows, change]
    print_fitted(
        f"{found.letter} at the end of a stage, by epochs",
        [
            Column("epochs", [name for name, _, _ in named]),
            *_effect_columns([effect for _, effect, _ in named]),
            Column("", ["exploratory" * bool(e) for _, _, e in named], 2, is_text=True),
        ],
        complete="--format json",
    )
    _say_reasons([(name, effect) for name, effect, _ in named])
    p = "" if found.sign.p is None else f" (p = {found.sign.p:.3g})"
    remark = ", exploratory" if found.is_exploratory() else ""
    console.print(
        f"Change of sign: {SIGN[found.sign.changes]}{p}{remark}", style="bold"
    )
    for note in found.notes:
        console.print(f"Note: {note}.")


def _with_scores(
    source: Path,
    scores: Path,
    metric: str,
    direction: "Direction | None",
    letter: str,
    output: str,
) -> None:
    from nas.prediction.scored_effects import scored_effects

    found = scored_effects(source, scores, metric, direction, letter)
    if output == "json":
        say(json.dumps(found.to_dict(), indent=2, allow_nan=False))
        return
    console = make_console()
    console.print(
        f"{found.metric} ({found.direction}): {found.num_trials} trainings of "
        f"{found.num_placements} placements; {found.score} of {found.num_scored} "
        "placements as a control variate"
    )
    effects = [*found.contrasts, *found.slots]
    names = [one.name.replace("_", " ") for one in effects]
    alone = [_cells(one.alone) for one in effects]
    scored = [_cells(one.scored) for one in effects]
    worth = ["" if one.worth is None else f"{one.worth:.2f}" for one in effects]
    print_fitted(
        f"C to {found.letter}",
        [
            Column("", names, is_text=True),
            Column("alone", [effect for effect, _, _ in alone]),
            Column("95% interval", [interval for _, interval, _ in alone], 1),
            Column("with scores", [effect for effect, _, _ in scored]),
            Column("95% interval", [interval for _, interval, _ in scored]),
            Column("worth", worth),
        ],
        complete="--format json",
    )
    reasons = [one.scored if one.scored.reason else one.alone for one in effects]
    _say_reasons(list(zip(names, reasons, strict=True)))
    slope = found.slope
    said = (
        f"no slope: {slope.reason}"
        if slope.effect is None
        else f"{slope.effect:+.4g} a standard deviation of the score, slots held fixed "
        f"({_cells(slope)[1]})"
    )
    console.print(f"{found.metric} on {found.score}: {said}")
    console.print(
        "worth: times as many trainings that would give as short an interval without "
        "scores"
    )
    for note in found.notes:
        console.print(f"Note: {note}.")


def _print(test: "RuleTest") -> None:
    console = make_console()
    console.print(
        f"{test.metric} ({test.direction}): {test.num_trials} trials of "
        f"{test.num_placements} placements, {test.sampling} sampling"
    )
    names = [f"{one.stage}.{one.block}" for one in test.slots]
    remarks = [
        " ".join(
            word
            for word, holds in (
                ("end", slot.block == test.depths[slot.stage - 1]),
                ("strided", slot.strided),
            )
            if holds
        )
        for slot in test.slots
    ]
    holm = ["" if one.p_holm is None else _p(one.p_holm) for one in test.slots]
    print_fitted(
        f"C to {test.letter} in one slot, the others held fixed",
        [
            Column("slot", names),
            *_effect_columns([one.effect for one in test.slots]),
            Column("p (Holm)", holm, 1),
            Column("", remarks, 2, is_text=True),
        ],
        complete="--format json",
    )
    slots = zip(names, (one.effect for one in test.slots), strict=True)
    _say_reasons([(f"slot {name}", effect) for name, effect in slots])
    contrasts = _contrasts(test)
    print_fitted(
        "Contrasts",
        [
            Column("", [name for name, _ in contrasts], is_text=True),
            *_effect_columns([effect for _, effect in contrasts]),
        ],
        complete="--format json",
    )
    _say_reasons(contrasts)
    if test.minimum_detectable_effect is not None:
        console.print(
            "End-of-stage effect that the verdict finds with 80% power in such a "
            f"table: {test.minimum_detectable_effect:.3g}"
        )
    helps = {True: "yes", False: "no, it hurts", None: "cannot be told"}
    console.print(f"Does an MSA at the ends help at all? {helps[test.ends_help]}")
    for crash in test.failures:
        if crash.p_holm < 0.05:
            console.print(
                f"Trials fail more with one letter in stage {crash.stage} block "
                f"{crash.block}: {crash.failed_msa} of {crash.num_msa} with "
                f"{test.letter}, {crash.failed_conv} of {crash.num_conv} with C "
                f"(p = {crash.p_holm:.2g} after Holm)"
            )
    for note in test.notes:
        console.print(f"Note: {note}.")
    console.print("\nVerdict: ", end="")
    console.print(test.verdict, style="bold", end="")
    console.print(" (exploratory)" if test.exploratory else "")
    for reason in test.reasons:
        console.print(f"  {reason}")


def _contrasts(test: "RuleTest") -> "list[tuple[str, Effect]]":
    controls = test.controls
    return [
        ("end of stage", test.end_of_stage),
        *((f"  stage {stage} alone", effect) for stage, effect in test.stages),
        ("  worst with a stage left out", controls["worst_without_a_stage"]),
        ("  last over first", controls["last_over_first"]),
        ("  last over middle", controls["last_over_middle"]),
        ("  at equal MSA counts", controls["same_count"]),
        ("  beyond all rivals at once", controls["beyond_rivals"]),
        ("  and a level for each stage", controls["beyond_rivals_and_stage_levels"]),
        ("  at equal parameters", controls["params"]),
        ("  with strided first blocks", test.end_of_stage_with_strided),
        ("  paired within swaps", test.paired.end_of_stage),
        ("an MSA at the ends", test.ends),
        ("end of model", test.end_of_model),
        ("strided first blocks", test.strided_first_blocks),
        ("one more MSA anywhere", test.num_msas),
    ]


def _effect_columns(effects: "Sequence[Effect]") -> list[Column]:
    cells = [_cells(one) for one in effects]
    names = ("effect", "95% interval", "p")
    return [
        Column(name, [texts[place] for texts in cells])
        for place, name in enumerate(names)
    ]


def _say_reasons(named: "Sequence[tuple[str, Effect]]") -> None:
    """Below a table: why some of its effects could not be estimated."""
    reasons: dict[str, list[str]] = {}
    for name, effect in named:
        if effect.effect is None and effect.reason:
            reasons.setdefault(effect.reason, []).append(name.strip())
    for reason, names in reasons.items():
        make_console().print(f"-: {', '.join(names)}: {reason}")


def _cells(effect: "Effect") -> tuple[str, str, str]:
    low, high = effect.ci
    if effect.effect is None or low is None or high is None or effect.p is None:
        return "-", "-", "-"
    # two digits of the half-width: what lies beyond is noise
    half = (high - low) / 2
    digits = max(0, 1 - math.floor(math.log10(half))) if half > 0 else 4
    if digits > 7 or max(abs(low), abs(high)) >= 1e6:
        values = [f"{one:+.3g}" for one in (effect.effect, low, high)]
    else:
        values = [f"{one:+.{digits}f}" for one in (effect.effect, low, high)]
    return values[0], f"{values[1]} to {values[2]}", _p(effect.p)


def _p(p: float) -> str:
    return f"{p:.2g}"
