"""Train chosen architectures with the full recipe, fairly compared.

A training run is a study whose architectures are given instead of sampled: the same
ledger, workers, checkpoints and ``nas resume``, on the laptop or a cluster. Beside the
architectures stand, at the same budget and seeds, the all-Conv parent and the paper's
rule on the same backbone. The table at the end is on the test split.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any

from nas.config import SearchConfig, with_plugins
from nas.ledger.held_out_results import TestResult
from nas.ledger.trial import TrialState
from nas.study.trial_view import read_history
from nas.study_path import study_name
from search_spaces import Architecture, FreeSpace, InputError
from search_spaces.backbone import Backbone
from search_spaces.placement import Placement

if TYPE_CHECKING:
    from nas.study.study import Study

FRESH = 1000
"""What is added to the config's seed: a network that was chosen because one seed was
lucky must not be trained with it again. Searches use ``seed`` and, for replicates,
the seeds after it."""

COMPARED = ("all_conv", "paper_rule")
"""Baselines that a trained architecture is shown beside."""


@dataclass(frozen=True)
class Candidate:
    """One row of the table to be.

    Attributes:
        label: How the table names it.
        architecture: What is trained.
    """

    label: str
    architecture: Architecture


@dataclass(frozen=True)
class TrainedRow:
    """One row of the table that a paper would print.

    Attributes:
        label: The user's name of it, or the baseline's.
        placement: Its placement.
        params: Trainable parameters.
        macs: Multiply-accumulates of one image.
        num_seeds: Finished runs.
        test_accuracy: Mean top-1 on the test split, fraction.
        test_accuracy_sd: Standard deviation over seeds; ``None`` with one seed.
        test_nll: Mean NLL on the test split, nats.
        val_accuracy: Mean top-1 on the validation split, fraction.
        test_nll_sd: Standard deviation of the NLL over seeds.
        val_accuracy_sd: The same of the validation accuracy.
        images_per_s: Training images per second, median over epochs and runs; a
            network that shared its machine was slower.
        difference: Mean test accuracy minus that of the all-Conv parent, over the seeds
            that both were trained with; ``None`` for the parent and without one.
        difference_ci: Its 95% interval, from the differences of the pairs (Student's
            t); ``None`` with fewer than two, or if all pairs differ by the same.
        num_pairs: Seeds of both.
        runs: Numbers of its trials in the study of the training.
    """

    label: str
    placement: str
    params: int
    macs: int
    num_seeds: int
    test_accuracy: float
    test_accuracy_sd: float | None
    test_nll: float
    val_accuracy: float
    test_nll_sd: float | None = None
    val_accuracy_sd: float | None = None
    images_per_s: float | None = None
    difference: float | None = None
    difference_ci: tuple[float, float] | None = None
    num_pairs: int = 0
    runs: tuple[int, ...] = ()

    def verdict(self) -> str:
        """Whether it is better than the all-Conv parent, in a sentence."""
        if self.difference is None:
            return f"{self.label}: there is no all-Conv parent to compare it with"
        points = f"{100 * self.difference:+.2f} points"
        if self.difference_ci is None and self.num_pairs > 1:
            return (
                f"{self.label}: {points} from the all-Conv parent, the same with each "
                f"of {self.num_pairs} seeds: how much seeds matter cannot be told "
                "without more of them (--seeds)"
            )
        if self.difference_ci is None:
            return (
                f"{self.label}: {points} from the all-Conv parent, of one seed: "
                "nothing can be told without a second (--seeds)"
            )
        low, high = (100 * end for end in self.difference_ci)
        known = f"{points} [{low:+.2f}, {high:+.2f}], {self.num_pairs} paired seeds"
        if low <= 0 <= high:
            return f"{self.label} cannot be told from the all-Conv parent: {known}"
        side = "better" if low > 0 else "worse"
        return f"{self.label} is {side} than the all-Conv parent: {known}"


def paired_difference(
    ours: Mapping[int, float], theirs: Mapping[int, float]
) -> tuple[float | None, tuple[float, float] | None, int]:
    """The mean difference of runs with equal seeds, and its 95% interval.

    Args:
        ours: Accuracy by seed.
        theirs: Accuracy of the parent by seed.

    Returns:
        The mean, the interval (``None`` with fewer than two pairs, or if all differ by
        the same, so that their spread is not known), and the pairs.
    """
    pairs = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if not pairs:
        return None, None, 0
    mean = fmean(pairs)
    if len(pairs) < 2:
        return mean, None, 1
    from scipy import special

    spread = stdev(pairs)
    if spread < 1e-9:  # few images: equal counts of right answers, not certainty
        return mean, None, len(pairs)
    half = float(special.stdtrit(len(pairs) - 1, 0.975))
    half *= spread / math.sqrt(len(pairs))
    return mean, (mean - half, mean + half), len(pairs)


def named_candidate(
    source: str, config: SearchConfig, label: str | None = None
) -> Candidate:
    """A network by name, shaped for the images of a config.

    Args:
        source: ``timm:NAME,key=value``, ``torchvision:NAME`` or ``vit,key=value``.
        config: Names the data set.
        label: How the table names it; what the user wrote if ``None``.

    Returns:
        The candidate.

    Raises:
        InputError: There is no such network, or it does not take the images.
    """
    from nas.data.datasets import image_shape
    from search_spaces.parents.whole_network import whole_network

    classes, channels, size = image_shape(with_plugins(config).data)
    architecture = whole_network(
        source, num_classes=classes, in_channels=channels, image_size=size
    )
    return Candidate(label or source, architecture)


def with_baselines(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Add the baselines of each candidate's backbone that are not there yet.

    Args:
        candidates: The user's architectures.

    Returns:
        The candidates, then their baselines; equal networks once.
    """
    from nas.sampling.baselines import baselines

    listed = {one.architecture.id: one for one in candidates}
    for one in candidates:
        a = one.architecture
        if not isinstance(a.backbone, Backbone):
            continue  # a network as it is has no placements beside it
        space = FreeSpace(
            replace(a.alternet_backbone, depths=a.placement.depths),
            a.attention,
            strided_msas=True,
            num_classes=a.num_classes,
            in_channels=a.in_channels,
            image_size=a.image_size,
        )
        found = baselines(space)
        for name in COMPARED:
            # The rule may coincide with the parent, e.g. in one-block stages.
            if name in found:
                listed.setdefault(found[name].id, Candidate(name, found[name]))
    return list(listed.values())


def training_config(
    candidates: Sequence[Candidate],
    config: SearchConfig,
    num_seeds: int,
    first_seed: int | None = None,
) -> SearchConfig:
    """The study that trains the candidates.

    Args:
        candidates: What to train.
        config: Data, recipe, evaluators and resources.
        num_seeds: Seeds of each.
        first_seed: The first of them; ``config.seed`` if ``None``.

    Returns:
        A config with the sampler ``given``.
    """
    listed = [one.architecture for one in candidates]
    space: dict[str, Any] = {"kind": "free"} | _slots(
        next((a for a in listed if isinstance(a.backbone, Backbone)), listed[0])
    )
    data = config.to_dict()
    data["space"] = space
    if first_seed is not None:
        data["seed"] = first_seed
    data["search"] = {
        "sampler": "given",
        "trials": len(candidates) * num_seeds,
        "replicates": num_seeds,
        "baselines": False,
        "trial_time_limit_s": config.search.trial_time_limit_s,
        "options": {
            "architectures": [one.architecture.to_dict() for one in candidates]
        },
    }
    return SearchConfig.model_validate(data)


def _slots(architecture: Architecture) -> dict[str, Any]:
    """A space that a study of given architectures can name; it is not looked at."""
    backbone = architecture.backbone
    if not isinstance(backbone, Backbone):
        return {"backbone": {"parent": backbone.to_dict()}, "kinds": "C"}
    written = {
        "block": backbone.block,
        "stem": backbone.stem,
        "depths": list(architecture.placement.depths),
        "widths": list(backbone.widths),
        "strides": list(backbone.strides),
    }
    attention = architecture.to_dict()["attention"]
    return {"backbone": written, "attention": attention, "strided_msas": True}


def check_fit(candidates: Iterable[Candidate], config: SearchConfig) -> None:
    """Refuse architectures that the images do not fit, before anything runs.

    Args:
        candidates: What is to be trained.
        config: Names the data set.

    Raises:
        InputError: Classes, channels or image size differ.
    """
    from nas.data.datasets import image_shape

    shape = image_shape(config.data)
    for one in candidates:
        a = one.architecture
        got = (a.num_classes, a.in_channels, a.image_size)
        if got != shape:
            raise InputError(
                "an architecture must fit the images: (num_classes, in_channels, "
                f"image_size) of {one.label} is {got}, of {config.data.name} {shape}"
            )


def train_table(
    study: "Study",
    candidates: Sequence[Candidate],
    tested: Sequence[TestResult],
    num_images: int | None = None,
) -> list[TrainedRow]:
    """Sum the runs of a training study up.

    Args:
        study: The finished study.
        candidates: What was trained, in the order of the table.
        tested: The test results of its trials.
        num_images: Training images, for the throughput.

    Returns:
        One row a candidate that has at least one finished run.
    """
    validation = {
        trial.number: trial.metrics.get("accuracy", math.nan)
        for trial in study.trials()
        if trial.state == TrialState.COMPLETE
    }
    by_seed: dict[str, dict[int, float]] = {}
    for run in tested:
        by_seed.setdefault(run.architecture, {})[run.seed] = run.test_accuracy
    rows = []
    for one in candidates:
        runs = [run for run in tested if run.architecture == one.architecture.id]
        if not runs:
            continue
        accuracies = [run.test_accuracy for run in runs]
        losses = [run.test_nll for run in runs]
        watched = [validation[run.number] for run in runs]
        several = len(runs) > 1
        parent = _parent_id(one.architecture)
        theirs = by_seed.get(parent, {}) if parent != one.architecture.id else {}
        found = paired_difference(by_seed[one.architecture.id], theirs)
        rows.append(
            TrainedRow(
                one.label,
                str(one.architecture.placement),
                one.architecture.params,
                one.architecture.macs,
                len(runs),
                fmean(accuracies),
                stdev(accuracies) if several else None,
                fmean(losses),
                fmean(watched),
                stdev(losses) if several else None,
                stdev(watched) if several else None,
                _throughput(study, [run.number for run in runs], num_images),
                *found,
                tuple(run.number for run in runs),
            )
        )
    return rows


def _parent_id(architecture: Architecture) -> str:
    if not isinstance(architecture.backbone, Backbone):
        return architecture.id
    parent = Placement.all_conv(architecture.placement.depths)
    return replace(architecture, placement=parent).id


def _throughput(
    study: "Study", numbers: Sequence[int], num_images: int | None
) -> float | None:
    if num_images is None:
        return None
    seconds = [
        value
        for number in numbers
        for value in read_history(study.layout.trial(number).history).get("seconds", ())
        if value > 0
    ]
    return num_images / median(seconds) if seconds else None


def train_architectures(
    candidates: Sequence[Candidate],
    config: SearchConfig,
    *,
    num_seeds: int = 3,
    out: str | Path,
    address: str | None = None,
    baselines: bool = True,
    quiet: bool = False,
    first_seed: int | None = None,
) -> list[TrainedRow]:
    """Train architectures, or go on with that where it was stopped.

    Args:
        candidates: What to train.
        config: Data, recipe, evaluators and resources; its space is not looked at.
        num_seeds: Seeds of each.
        out: Study directory; one that holds the same run is continued.
        address: Ray cluster, instead of the config's.
        baselines: Also train the all-Conv parent and the paper's rule.
        quiet: Show no progress.
        first_seed: First of the seeds; ``config.seed`` if ``None``.

    Returns:
        The table, test split included.

    Raises:
        InputError: The architectures do not fit the images, or ``out`` holds
            something else.
    """
    from nas.data.datasets import load_dataset
    from nas.scoring.held_out_test import look_once
    from nas.search_run import resume, search
    from nas.study.layout import StudyLayout
    from nas.study.study import Study

    config = with_plugins(config)
    listed = with_baselines(candidates) if baselines else list(candidates)
    check_fit(listed, config)
    wanted = training_config(listed, config, num_seeds, first_seed)
    if StudyLayout(Path(out)).exists():
        study = Study.open(out)
        differences = _differences(study.config, wanted)
        if differences:
            raise InputError(
                f"{out} holds another training run: it differs in "
                f"{', '.join(differences)}; choose another directory",
                hint="--out DIR",
            )
        study = resume(out, address=address, quiet=quiet)
    else:
        named = wanted.model_copy(update={"name": study_name(out) or wanted.name})
        study = search(named, out, address, quiet=quiet)
    complete = [t for t in study.trials() if t.state == TrialState.COMPLETE]
    dataset = load_dataset(config.data)
    tested = look_once(study, lambda: dataset, complete)
    study.write_table()
    return train_table(study, listed, tested, len(dataset.train))


def _differences(old: SearchConfig, new: SearchConfig) -> list[str]:
    """Sections in which two runs differ; where they run does not matter."""
    first, second = _comparable(old), _comparable(new)
    return [key for key in second if first.get(key) != second[key]]


def _comparable(config: SearchConfig) -> dict[str, Any]:
    """Settings of a run, each architecture by its id: files may spell it otherwise."""
    data = config.to_dict()
    # A given list does not look at the space, and the directory gives the name.
    del data["resources"], data["space"], data["name"]
    options = data["search"]["options"]
    data["search"]["options"] = [
        Architecture.from_dict(one).id for one in options.get("architectures", [])
    ]
    return data
