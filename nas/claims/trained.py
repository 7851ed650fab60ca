"""Train the networks of the claims as studies, and read what was measured.

The trainings are two studies like any other: ``all_images`` and ``few_images`` in the
output directory, with a ledger each. A killed run goes on where it stopped, a training
that fails is recorded there and the others go on.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.claims.contrast import Value
from nas.claims.networks import ALTERNET, RESNET
from nas.claims.plan import ClaimsPlan
from nas.claims.quantities import quantities
from nas.config import SearchConfig
from nas.ledger.trial import TrialState
from nas.study.study import Study
from nas.train_run import Candidate
from search_spaces.backbone import Backbone
from search_spaces.errors import InputError

ALL, FEW = "all_images", "few_images"


@dataclass(frozen=True)
class TrainedNetwork:
    """One training.

    Attributes:
        label: Which network.
        seed: Its seed.
        values: Its quantities.
        details: Of its evaluators, for figures.
        duration_s: Seconds of training and evaluation.
    """

    label: str
    seed: int
    values: Mapping[str, Value]
    details: Mapping[str, Mapping[str, Any]]
    duration_s: float


@dataclass(frozen=True)
class Trained:
    """All trainings of a run of ``nas claims``.

    Attributes:
        networks: With all images.
        few: With few of them.
        failures: Why a training gave nothing, one line each.
    """

    networks: tuple[TrainedNetwork, ...]
    few: tuple[TrainedNetwork, ...]
    failures: tuple[str, ...]

    def measured(self) -> dict[str, dict[str, list[Value]]]:
        """Values by quantity and network; those with few images end in ``_few``."""
        found: dict[str, dict[str, list[Value]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for suffix, runs in (("", self.networks), ("_few", self.few)):
            for run in runs:
                for name, value in run.values.items():
                    found[name + suffix][run.label].append(value)
        return {name: dict(some) for name, some in found.items()}


def train_all(
    candidates: Sequence[Candidate],
    config: SearchConfig,
    plan: ClaimsPlan,
    out: Path,
    *,
    address: str | None = None,
    quiet: bool = False,
) -> Trained:
    """Train every network with every seed, or go on with that.

    Args:
        candidates: The networks.
        config: Data, recipe, evaluators, resources.
        plan: Seeds and the share of the images.
        out: Directory of the two studies.
        address: Ray cluster, instead of the config's.
        quiet: Show no progress.

    Returns:
        What was measured.

    Raises:
        InputError: ``out`` holds trainings of another config.
        SearchFailedError: Not one training with all images is complete.
    """
    from nas.search_run import SearchFailedError
    from nas.train_run import train_architectures

    train_architectures(
        candidates,
        config,
        num_seeds=plan.seeds,
        # Nothing was chosen by its luck with a seed, so none has to be fresh.
        first_seed=config.seed,
        out=out / ALL,
        address=address,
        baselines=False,
        quiet=quiet,
    )
    pair = [one for one in candidates if one.label in (RESNET, ALTERNET)]
    with suppress(SearchFailedError):  # each of its trainings is told with its reason
        train_architectures(
            pair,
            few_config(config, plan),
            num_seeds=plan.seeds,
            first_seed=config.seed,
            out=out / FEW,
            address=address,
            baselines=False,
            quiet=quiet,
        )
    return read_trained(candidates, out)


def few_config(config: SearchConfig, plan: ClaimsPlan) -> SearchConfig:
    """The config of the trainings with few images.

    Args:
        config: That with all images.
        plan: Gives the share and the epochs.
    """
    from nas.data.datasets import load_dataset

    num = len(load_dataset(config.data).train)
    few = max(2, round(plan.few_images * num))
    data = config.to_dict()
    data["data"]["max_train"] = few
    data["training"]["epochs"] = plan.few_epochs * config.training.epochs
    data["evaluators"] = {"accuracy": config.evaluators["accuracy"], "cost": {}}
    return SearchConfig.model_validate(data)


def read_trained(candidates: Sequence[Candidate], out: Path) -> Trained:
    """Read the two studies.

    Args:
        candidates: What was to be trained.
        out: Directory of the studies.

    Returns:
        What was measured.

    Raises:
        InputError: There are no studies, or a file of theirs is damaged.
    """
    failures: list[str] = []
    runs = {
        name: _read(Study.open(out / name), candidates, failures) for name in (ALL, FEW)
    }
    return Trained(tuple(runs[ALL]), tuple(runs[FEW]), tuple(failures))


def _read(
    study: Study, candidates: Sequence[Candidate], failures: list[str]
) -> list[TrainedNetwork]:
    labels = {one.architecture.id: one.label for one in candidates}
    num_stages = next(
        (
            len(a.placement.stages)
            for a in (one.architecture for one in candidates)
            if isinstance(a.backbone, Backbone)
        ),
        1,
    )
    tested = study.test_results()
    found = []
    for trial in study.trials():
        label = labels.get(trial.architecture_id)
        if label is None or trial.retried_as is not None:
            continue
        if trial.state != TrialState.COMPLETE:
            reason = trial.error or f"{trial.state}"
            failures.append(f"{study.path.name}: {label}, seed {trial.seed}: {reason}")
            continue
        metrics, errors = dict(trial.metrics), dict(trial.standard_errors)
        if trial.number in tested:
            metrics["test_accuracy"] = tested[trial.number].test_accuracy
            errors["test_accuracy"] = tested[trial.number].test_accuracy_se
        try:
            details = study.read_json(trial.number, "details.json")
        except InputError as error:
            failures.append(f"{study.path.name}: {label}, seed {trial.seed}: {error}")
            details = {}
        values = quantities(metrics, errors, details, num_stages)
        duration = trial.duration_s or 0.0
        found.append(TrainedNetwork(label, trial.seed, values, details, duration))
    return sorted(
        found, key=lambda run: (list(labels.values()).index(run.label), run.seed)
    )
