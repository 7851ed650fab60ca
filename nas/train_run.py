"""Train chosen architectures with the full recipe, fairly compared.

A training run is a study whose architectures are given instead of sampled: the same
ledger, workers, checkpoints and ``nas resume``, on the laptop or a cluster. Beside the
architectures stand, at the same budget and seeds, the all-Conv parent and the paper's
rule on the same backbone. The table at the end is on the test split.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from nas.config import SearchConfig, with_plugins
from nas.ledger.held_out_results import TestResult
from nas.ledger.trial import TrialState
from search_spaces import Architecture, FreeSpace, InputError
from search_spaces.backbone import Backbone

if TYPE_CHECKING:
    from nas.study.study import Study

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
    candidates: Sequence[Candidate], config: SearchConfig, num_seeds: int
) -> SearchConfig:
    """The study that trains the candidates.

    Args:
        candidates: What to train.
        config: Data, recipe, evaluators and resources.
        num_seeds: Seeds of each.

    Returns:
        A config with the sampler ``given``.
    """
    listed = [one.architecture for one in candidates]
    space: dict[str, Any] = {"kind": "free"} | _slots(
        next((a for a in listed if isinstance(a.backbone, Backbone)), listed[0])
    )
    data = config.to_dict()
    data["space"] = space
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
    study: "Study", candidates: Sequence[Candidate], tested: Sequence[TestResult]
) -> list[TrainedRow]:
    """Sum the runs of a training study up.

    Args:
        study: The finished study.
        candidates: What was trained, in the order of the table.
        tested: The test results of its trials.

    Returns:
        One row a candidate that has at least one finished run.
    """
    validation = {
        trial.number: trial.metrics.get("accuracy", math.nan)
        for trial in study.trials()
        if trial.state == TrialState.COMPLETE
    }
    rows = []
    for one in candidates:
        runs = [run for run in tested if run.architecture == one.architecture.id]
        if not runs:
            continue
        accuracies = [run.test_accuracy for run in runs]
        rows.append(
            TrainedRow(
                one.label,
                str(one.architecture.placement),
                one.architecture.params,
                one.architecture.macs,
                len(runs),
                fmean(accuracies),
                stdev(accuracies) if len(runs) > 1 else None,
                fmean(run.test_nll for run in runs),
                fmean(validation[run.number] for run in runs),
            )
        )
    return rows


def train_architectures(
    candidates: Sequence[Candidate],
    config: SearchConfig,
    *,
    num_seeds: int = 3,
    out: str | Path,
    address: str | None = None,
    baselines: bool = True,
    quiet: bool = False,
) -> list[TrainedRow]:
    """Train architectures, or go on with that where it was stopped.

    Args:
        candidates: What to train.
        config: Data, recipe, evaluators and resources; its space is not looked at.
        num_seeds: Seeds of each; the first is ``config.seed``.
        out: Study directory; one that holds the same run is continued.
        address: Ray cluster, instead of the config's.
        baselines: Also train the all-Conv parent and the paper's rule.
        quiet: Show no progress.

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
    wanted = training_config(listed, config, num_seeds)
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
        study = search(wanted, out, address, quiet=quiet)
    complete = [t for t in study.trials() if t.state == TrialState.COMPLETE]
    tested = look_once(study, lambda: load_dataset(config.data), complete)
    study.write_table()
    return train_table(study, listed, tested)


def _differences(old: SearchConfig, new: SearchConfig) -> list[str]:
    """Sections in which two runs differ; where they run does not matter."""
    first, second = _comparable(old), _comparable(new)
    return [key for key in second if first.get(key) != second[key]]


def _comparable(config: SearchConfig) -> dict[str, Any]:
    """Settings of a run, each architecture by its id: files may spell it otherwise."""
    data = config.to_dict()
    del data["resources"], data["space"]  # a given list does not look at the space
    options = data["search"]["options"]
    data["search"]["options"] = [
        Architecture.from_dict(one).id for one in options.get("architectures", [])
    ]
    return data
