"""All evaluators by name, and how a configuration turns into them.

``python -m evaluators.registry`` prints docs/metrics.md, the single table of metrics.
"""

from collections.abc import Mapping
from dataclasses import Field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from evaluators.blocks.cka import CKA
from evaluators.blocks.feature_variance import FeatureVariance
from evaluators.blocks.lesion import Lesion
from evaluators.blocks.low_pass import LowPass
from evaluators.classification.accuracy import Accuracy
from evaluators.classification.calibration import Calibration
from evaluators.classification.frequency_noise import FrequencyNoise
from evaluators.cost.cost import Cost
from evaluators.cost.latency import Latency
from evaluators.evaluator import Evaluator, Metric
from evaluators.loss.flatness import Flatness
from evaluators.loss.hessian_trace import HessianTrace
from evaluators.loss.loss_landscape import LossLandscape
from evaluators.loss.sharpness import Sharpness
from evaluators.loss.training_nll import TrainingNLL
from evaluators.names import METRICS, check_evaluators
from search_spaces.errors import InputError

EVALUATORS: dict[str, type[Evaluator]] = {}
"""Evaluator classes by name; add to it with :func:`register_evaluator`."""


def register_evaluator(evaluator: type[Evaluator]) -> None:
    """Make an evaluator available to configurations and the command line.

    Args:
        evaluator: A frozen dataclass of options with a ``name`` of its own.

    Raises:
        InputError: Another evaluator has this name, or one of its metrics is declared
            by another evaluator with another meaning.
    """
    if EVALUATORS.get(evaluator.name, evaluator) is not evaluator:
        raise InputError(
            f"an evaluator named {evaluator.name!r} exists already; names are unique"
        )
    known = all_metrics()
    for metric in evaluator.metrics:
        if known.get(metric.name, metric) != metric:
            raise InputError(
                f"metric {metric.name!r} of evaluator {evaluator.name!r} is declared "
                "by another evaluator with another meaning; names are unique"
            )
    EVALUATORS[evaluator.name] = evaluator
    METRICS[evaluator.name] = tuple(metric.name for metric in evaluator.metrics)


def all_metrics() -> dict[str, Metric]:
    """Every metric that some evaluator yields, by name."""
    return {
        metric.name: metric
        for evaluator in EVALUATORS.values()
        for metric in evaluator.metrics
    }


def make_evaluators(
    config: Mapping[str, Mapping[str, Any] | None],
) -> list[Evaluator]:
    """Build evaluators from their names and options.

    Args:
        config: Options by evaluator name; ``{}`` or ``None`` for the defaults.

    Returns:
        The evaluators in the order of the configuration.

    Raises:
        InputError: An evaluator or an option does not exist, or a value is not
            allowed.
    """
    return [make_evaluator(name, options or {}) for name, options in config.items()]


def make_evaluator(name: str, options: Mapping[str, Any]) -> Evaluator:
    """Build one evaluator.

    Args:
        name: Its name.
        options: Values for its fields; lists are taken for tuples.

    Returns:
        The evaluator.

    Raises:
        InputError: It or an option does not exist, or a value is not allowed.
    """
    check_evaluators([name])
    evaluator = EVALUATORS[name]
    if not isinstance(options, Mapping):
        raise InputError(
            f"evaluator {name!r} takes a mapping of options, got {options!r}"
        )
    hints = get_type_hints(evaluator)
    # Every concrete evaluator is a dataclass; the abstract base cannot say so.
    known: dict[str, Field[Any]] = {
        field.name: field for field in fields(cast(Any, evaluator)) if field.init
    }
    values = {}
    for key, value in options.items():
        if key not in known:
            raise InputError(
                f"evaluator {name!r} has no option {key!r}; "
                f"it has {', '.join(known) or 'none'}"
            )
        plain = _freeze(value)
        if not _fits(plain, hints[key]):
            raise InputError(
                f"option {key!r} of evaluator {name!r} must be "
                f"{_describe(hints[key])}, got {value!r}"
            )
        values[key] = plain
    return evaluator(**values)


def _freeze(value: Any) -> Any:
    """Lists, which YAML gives, to tuples, which frozen dataclasses hold."""
    if isinstance(value, list | tuple):
        return tuple(_freeze(item) for item in value)
    return value


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return all(_fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(
            _fits(item, argument)
            for item, argument in zip(value, arguments, strict=True)
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_describe(argument) for argument in arguments)
    if origin is Literal:
        return " or ".join(repr(argument) for argument in arguments)
    if origin is tuple:
        inner = [a for a in arguments if a is not Ellipsis]
        return f"a list of {', '.join(_describe(argument) for argument in inner)}"
    names = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text",
        NoneType: "null",
    }
    return names.get(hint, str(hint))


def metrics_page() -> str:
    """The text of docs/metrics.md."""
    rows = []
    listed: set[str] = set()
    for evaluator in EVALUATORS.values():
        cost = evaluator.cost_in_epochs
        share = "not measured" if cost is None else f"{cost:.2g}"
        for metric in evaluator.metrics:
            if metric.name in listed:
                continue
            listed.add(metric.name)
            owners = [
                f"`{other.name}`"
                for other in EVALUATORS.values()
                if metric in other.metrics
            ]
            remark = ""
            if metric.noise:
                remark = f" **No objective for single networks**: {metric.noise}."
            cells = (
                f"`{metric.name}`",
                metric.unit,
                metric.direction,
                metric.definition + remark,
                metric.source,
                ", ".join(owners),
                share,
            )
            rows.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return _PAGE_HEAD + "\n".join(rows) + "\n" + _PAGE_END


_PAGE_HEAD = """\
# Metrics

<!-- Written by `python -m evaluators.registry > docs/metrics.md`; do not edit. -->

Every number that an evaluator yields, under the name it has in all tables, configs and
figures. Directions: `none` means that neither way is better in itself. Every sampled
metric comes with a standard error; that of `nep` is too small for few mini-batches
(0.6 to 0.8 of the true one on average from 4, where 5% of the values are negative) and
absent where every mini-batch has the same share. A metric that is not defined for a
network (a mean over MSA blocks of an all-Conv net) is absent, not zero. Metrics that
were measured to be mostly noise for a single network say so; a search refuses them as
objectives unless `search.allow_noisy` is set.

| metric | unit | direction | definition | source | evaluator | cost |
| --- | --- | --- | --- | --- | --- | --- |
"""

_PAGE_END = """
**Cost** is the time of one evaluation by the (first-named) evaluator with its default
options, in training epochs: process time of one CPU thread, the `tiny` backbone with
placement CM-CM-CM, an epoch of 8,000 images of 32x32 pixels, 2,000 validation images
(`benchmarks/evaluator_cost.py`, median of three; they differed by up to a fifth).
Evaluators with a fixed number of images cost less beside a larger training set.

**Threads** are part of a result on a CPU. The same seed, recipe and number of math
threads give the same bytes; another number of threads adds floating-point sums in
another order, and training amplifies the last digits. In one example (`tiny`,
CC-CM-CM, 1,000 digits, two epochs) 1 and 2 threads ended with validation accuracies of
0.489 and 0.493. Keep the number equal (`OMP_NUM_THREADS`, in a search the CPUs per
trial) where networks are compared to the last digit, and read differences of that size
as noise: that is what replicates are for.

## Which signs trained networks show

160 networks of 136 placements trained on CIFAR-10 ([the
study](../results/cifar10-placement/README.md)): the share of blocks that *lower* the
relative log amplitude at the true Nyquist frequency, or the logarithm of the
feature-map variance, from input to output ("stream") or on the residual branch against
the shortcut ("branch"). 95% bootstrap intervals over networks; changes in nats
(`python results/signs.py STUDY --out DIR`).

| measure | level | blocks | n | share that lowers it | mean change |
| --- | --- | --- | --- | --- | --- |
| high frequency | branch | Conv | 731 | 0.83 [0.81, 0.86] | -0.46 [-0.49, -0.43] |
| high frequency | branch | MSA | 709 | 0.99 [0.98, 1.00] | -2.04 [-2.14, -1.94] |
| high frequency | stream | Conv | 731 | 0.92 [0.90, 0.94] | -0.34 [-0.36, -0.33] |
| high frequency | stream | MSA | 709 | 0.81 [0.78, 0.84] | -0.36 [-0.39, -0.32] |
| variance | branch | Conv | 731 | 0.62 [0.58, 0.64] | -0.15 [-0.22, -0.08] |
| variance | branch | MSA | 709 | 0.95 [0.94, 0.97] | -3.31 [-3.45, -3.18] |
| variance | stream | Conv | 731 | 0.00 [0.00, 0.01] | +0.91 [+0.88, +0.94] |
| variance | stream | MSA | 709 | 0.33 [0.29, 0.36] | +0.13 [+0.11, +0.15] |

The paper expects MSA blocks to lower both and Conv blocks to raise both. Seen: MSA
branches are much stronger low-pass filters than Conv branches, and Conv blocks raise
the variance almost always. Not seen: Conv blocks do *not* raise the relative high
frequencies of the stream, whose constant part grows with depth, and MSA blocks lower
the variance of the stream in a third of cases only. No evaluator assumes a sign.

"The paper" is Park & Kim, *How Do Vision Transformers Work?*, ICLR 2022
(arXiv 2202.06709); notebooks and `ops/` are those of its repository
`xxxnell/how-do-vits-work`.
"""


for _evaluator in (
    Accuracy,
    Calibration,
    LowPass,
    FeatureVariance,
    FrequencyNoise,
    Lesion,
    CKA,
    Flatness,
    Sharpness,
    TrainingNLL,
    HessianTrace,
    LossLandscape,
    Cost,
    Latency,
):
    register_evaluator(_evaluator)


if __name__ == "__main__":
    print(metrics_page(), end="")
