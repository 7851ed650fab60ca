"""The quantities of one trained network that the claims are about."""

from collections.abc import Iterator, Mapping, Sequence
from math import log, sqrt
from statistics import fmean
from typing import Any

from nas.claims.contrast import Value

Details = Mapping[str, Any]


def quantities(
    metrics: Mapping[str, float],
    errors: Mapping[str, float],
    details: Mapping[str, Details],
    num_stages: int,
) -> dict[str, Value]:
    """Everything that the claims need of one network.

    Args:
        metrics: Of its evaluators, and ``test_accuracy``.
        errors: Their standard errors.
        details: Of its evaluators, by name.
        num_stages: Stages of the multi-stage networks; networks of one stage are cut
            into as many parts for ``cka_stages``.

    Returns:
        Value and standard error by name. What was not measured is absent.
    """
    found: dict[str, Value] = {}
    for name in (
        "train_nll", "nep", "low_pass_msa", "low_pass_conv", "low_pass_branch_msa",
        "low_pass_branch_conv", "variance_change_msa", "variance_change_conv",
        "noise_drop_high",
    ):  # fmt: skip
        if name in metrics:
            found[name] = Value(metrics[name], errors.get(name, 0.0))
    if "test_accuracy" in metrics:
        error = errors.get("test_accuracy", 0.0)
        found["test_error"] = Value(1 - metrics["test_accuracy"], error)
    for name in ("ape", "hessian_max"):
        value = metrics.get(name, 0.0)
        if value > 0:  # eigenvalues differ by factors
            found[f"log_{name}"] = Value(log(value), errors.get(name, 0.0) / value)
    clean = details.get("frequency_noise", {}).get("clean_accuracy", 0.0)
    if clean > 0 and "noise_drop_high" in found:
        drop = found["noise_drop_high"]
        found["noise_share_high"] = Value(drop.value / clean, drop.error / clean)
    if "cka" in details:
        found |= stage_similarity(details["cka"], num_stages)
    if "lesion" in details:
        found |= first_over_last(details["lesion"]["blocks"])
    return found


def stage_similarity(details: Details, num_stages: int) -> dict[str, Value]:
    """CKA of blocks in one stage minus that of blocks as far apart across a border.

    Blocks that lie near each other are similar in every network. So pairs are compared
    with pairs of the same distance, and the distances for which there are both kinds
    count equally.

    Args:
        details: Of the evaluator ``cka``.
        num_stages: Parts into which a network of one stage is cut.

    Returns:
        ``cka_stages``; nothing if no distance has both kinds.
    """
    matrix = details["cka"]
    stages = [block["stage"] for block in details["blocks"]]
    if len(set(stages)) == 1:
        stages = [index * num_stages // len(stages) for index in range(len(stages))]
    gaps = []
    for distance in range(1, len(stages)):
        within: list[float] = []
        across: list[float] = []
        for index in range(len(stages) - distance):
            same = stages[index] == stages[index + distance]
            (within if same else across).append(matrix[index][index + distance])
        if within and across:
            gaps.append(fmean(within) - fmean(across))
    return {"cka_stages": Value(fmean(gaps))} if gaps else {}


def first_over_last(blocks: Sequence[Details]) -> dict[str, Value]:
    """Accuracy lost without a stage's first block minus that without its last.

    Args:
        blocks: Of the evaluator ``lesion``.

    Returns:
        ``lesion_first_over_last``, a mean over the stages of two blocks or more; the
        blocks share the images, so that the error of their difference is at most that
        given here.
    """
    pairs = [(stage[0], stage[-1]) for stage in _stages(blocks) if len(stage) > 1]
    if not pairs:
        return {}
    value = fmean(first["drop"] - last["drop"] for first, last in pairs)
    squares = sum(one["drop_se"] ** 2 for pair in pairs for one in pair)
    return {"lesion_first_over_last": Value(value, sqrt(squares) / len(pairs))}


def _stages(blocks: Sequence[Details]) -> Iterator[list[Details]]:
    for stage in sorted({block["stage"] for block in blocks}):
        yield [block for block in blocks if block["stage"] == stage]
