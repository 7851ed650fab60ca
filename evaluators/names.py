"""Which evaluators and metrics there are, readable before torch is imported.

A typo in a name is answered at once, and importing the evaluators takes seconds. The
names of the built-in ones are written here; ``register_evaluator`` adds what it gets,
and a test compares this table with the evaluators themselves.
"""

from collections.abc import Iterable

from search_spaces.errors import InputError, did_you_mean, shown

METRICS: dict[str, tuple[str, ...]] = {
    "accuracy": ("accuracy", "nll", "ece"),
    "calibration": ("nll", "ece", "brier"),
    "low_pass": (
        "low_pass",
        "low_pass_msa",
        "low_pass_conv",
        "low_pass_branch",
        "low_pass_branch_msa",
        "low_pass_branch_conv",
    ),
    "feature_variance": (
        "variance_change",
        "variance_change_msa",
        "variance_change_conv",
    ),
    "frequency_noise": ("noise_drop_low", "noise_drop_high", "noise_drop"),
    "lesion": ("lesion_msa", "lesion_conv", "lesion_last"),
    "cka": ("cka_adjacent",),
    "flatness": ("hessian_max", "hessian_min", "ape", "nep"),
    "sharpness": ("sharpness",),
    "training_nll": ("train_nll",),
    "hessian_trace": ("hessian_trace",),
    "loss_landscape": ("landscape_rise",),
    "cost": ("params", "macs"),
    "latency": ("latency", "peak_memory"),
}
"""Names of the metrics that each evaluator yields."""


def check_evaluators(names: Iterable[str]) -> None:
    """Refuse evaluators that do not exist.

    Args:
        names: Of evaluators.

    Raises:
        InputError: One of them is unknown.
    """
    for name in names:
        if name not in METRICS:
            raise InputError(
                f"unknown evaluator {shown(name)}; known are "
                f"{', '.join(sorted(METRICS))}",
                hint=did_you_mean(name, METRICS),
            )


def check_metric(name: str, remark: str = "") -> None:
    """Refuse a metric that no evaluator yields.

    Args:
        name: Of a metric.
        remark: What else the message says.

    Raises:
        InputError: It is unknown.
    """
    known = {metric for metrics in METRICS.values() for metric in metrics}
    if name not in known:
        raise InputError(
            f"unknown metric {shown(name)}; there are {', '.join(sorted(known))}"
            + remark
        )
