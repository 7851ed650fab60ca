"""What a verdict in one word leaves out, for every metric of a published study.

    python results/rule_facts.py STUDY --out DIR

Writes ``figures/rule_METRIC.json`` (as ``nas rule --format json``) and a PNG for every
metric that varies, and prints the facts that the README quotes: whether stages agree,
which pairs of slots interact, and how the end-of-stage contrast changes when
strided blocks count, when neighbours are held fixed, and among placements of few MSAs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.stats import chi2

from nas.figures.rule import draw, rule_figure
from nas.rule import contrasts
from nas.rule.effect import Effect, measured
from nas.rule.placement_means import PlacementMeans
from nas.rule.placement_table import PlacementTable
from nas.rule.rule_test import rule_test
from nas.rule.slot_layout import SlotLayout
from nas.study.study import Study
from search_spaces.errors import InputError

COSTS = {"macs", "params"}
"""Known from the placement: nothing to test."""


def contrast_with(table: PlacementTable, *, strided: bool, neighbours: bool) -> Effect:
    """The end-of-stage contrast, strided blocks in or out, neighbours fixed or not."""
    means = PlacementMeans.of(table)
    layout = SlotLayout(table.depths)
    controls = None
    if neighbours:
        stages = np.array([stage for stage, _ in layout.slots])
        within = stages[:-1] == stages[1:]
        pairs = (means.bits[:, :-1] * means.bits[:, 1:])[:, within]
        controls = pairs.sum(axis=1, keepdims=True)
    regression = means.regression(controls)
    find = contrasts.end_of_stage_with_strided if strided else contrasts.end_of_stage
    return measured(regression, find(regression, layout))


def few_msas(table: PlacementTable, most: int) -> PlacementTable:
    """The rows with at most so many MSAs."""
    return table.only(table.bits.sum(axis=1) <= most)


def shown(effect: Effect) -> str:
    """Effect and interval with four decimals."""
    if effect.effect is None:
        return effect.reason
    low, high = effect.ci
    return f"{effect.effect:+.4f} [{low:+.4f}, {high:+.4f}], p = {effect.p:.2g}"


def disagreement(effects: list[Effect]) -> float:
    """P-value of Cochran's Q: whether effects have one common value."""
    values = np.array([one.effect for one in effects], dtype=float)
    weights = np.array([one.standard_error for one in effects], dtype=float) ** -2
    centre = (weights @ values) / weights.sum()
    return float(chi2.sf(weights @ (values - centre) ** 2, len(effects) - 1))


def print_facts(table: PlacementTable) -> None:
    """The facts about one metric, in lines."""
    test = rule_test(table)
    print(f"## {table.metric}: {test.verdict}; ends_help {test.ends_help}")
    for reason in test.reasons:
        print(f"  {reason}")
    for stage, effect in test.stages:
        print(f"  stage {stage}: {shown(effect)}")
    print(f"  stages disagree: {test.disagreement}")
    means = PlacementMeans.of(table)
    layout = SlotLayout(table.depths)
    regression = means.regression()
    alone = []
    for stage in layout.stages:
        last = layout.of_stage(stage)[-1]
        others = layout.of_stage(stage)[:-1]
        weights = layout.unit(last) - layout.unit(others)
        effect = Effect.of(regression.estimate(weights))
        alone.append(effect)
        print(f"  stage {stage} with strided: {shown(effect)}")
    print(f"  with strided, Cochran's Q has p = {disagreement(alone):.2g}")
    found = [pair for pair in test.interactions if pair.p_holm < 0.05]
    print(f"  pairs below 5% after Holm ({test.num_pairs} tested): {len(found)}")
    for pair in found:
        print(f"    {pair.slots}: {shown(pair.effect)}, Holm {pair.p_holm:.2g}")
    for strided in (True, False):
        for neighbours in (False, True):
            effect = contrast_with(table, strided=strided, neighbours=neighbours)
            print(
                f"  strided {strided}, neighbours fixed {neighbours}: {shown(effect)}"
            )
    for most in (3, 4):
        part = few_msas(table, most)
        for strided in (True, False):
            effect = contrast_with(part, strided=strided, neighbours=False)
            print(
                f"  at most {most} MSAs ({len(part.values)} trials), "
                f"strided {strided}: {shown(effect)}"
            )
    print(f"  one more MSA: {shown(test.num_msas)}; at the ends: {shown(test.ends)}")
    print(f"  beyond rivals: {shown(test.controls['beyond_rivals'])}")
    print(f"  minimum effect of the verdict: {test.minimum_detectable_effect}")


def main() -> None:
    """Read the arguments, write the tests, print the facts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    study = Study.open(arguments.study)
    frame = study.table()
    known = {name for trial in study.trials() for name in trial.metrics} - COSTS
    for metric in sorted(known):
        if frame[metric].nunique() < 3:
            continue
        try:
            test = rule_test(PlacementTable.of_study(study, metric))
        except InputError as error:
            print(f"{metric}: {error}")
            continue
        text = json.dumps(test.to_dict(), indent=1, allow_nan=False)
        path = arguments.out / "figures" / f"rule_{metric}.json"
        path.write_text(text + "\n")
        draw(rule_figure(test), path.with_suffix(".png"))
        print(
            f"| {metric} | {test.direction} | {shown(test.end_of_stage)} | "
            f"{shown(test.end_of_stage_with_strided)} | {shown(test.num_msas)} | "
            f"{test.verdict} |"
        )
    for metric in ("accuracy", "low_pass", "low_pass_branch"):
        print_facts(PlacementTable.of_study(study, metric))


if __name__ == "__main__":
    main()
