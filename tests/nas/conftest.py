"""A study in memory whose trials are known, for everything that only looks at one."""

import json
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from known_trials import known_trial

from nas.config import config_from_dict
from nas.ledger.trial import Objective, Trial, TrialState
from search_spaces.errors import InputError


@dataclass
class KnownStudy:
    """Stands in for a Study: the same reading methods, no store behind."""

    known: list[Trial]
    name: str = "known"
    objectives: tuple[Objective, ...] = (
        Objective("accuracy", "maximize"),
        Objective("params", "minimize"),
    )
    path: Path = Path("known")
    config: object = field(default_factory=lambda: config_from_dict({}))
    header: dict = field(default_factory=lambda: {"format": "nas-study/1"})
    problems: tuple = ()
    metric_facts: dict = field(default_factory=dict)
    tested: dict = field(default_factory=dict)

    def test_results(self):
        return self.tested

    def trials(self):
        return list(self.known)

    def trial(self, number):
        for trial in self.known:
            if trial.number == number:
                return trial
        raise InputError(f"study {self.name!r} has no trial {number}")

    def trial_directory(self, number):
        return self.path / "trials" / str(number)

    def read_json(self, number, name):
        path = self.trial_directory(number) / name
        if not path.is_file():
            raise InputError(f"{path} cannot be read")
        return json.loads(path.read_text())

    def table(self):
        rows = [
            {
                "number": trial.number,
                "state": str(trial.state),
                "placement": trial.placement,
                "seed": trial.seed,
                "epochs": trial.epochs,
                **trial.metrics,
                "baseline": trial.baseline,
            }
            for trial in self.known
        ]
        columns = ["number", "state", "placement", "seed", "epochs", "baseline"]
        return pd.DataFrame(rows, columns=None if rows else columns)

    def architecture(self, number):
        from search_spaces import Architecture

        return Architecture.from_yaml(
            self.trial_directory(number) / "architecture.yaml"
        )


def many_trials(num_trials, seed=0, num_failed=0):
    """Trials of random placements with plausible, entirely made-up metrics."""
    rng = random.Random(seed)
    trials = []
    for number in range(num_trials):
        placement = "-".join(
            "".join(rng.choice("CM") for _ in range(depth)) for depth in (2, 3, 3)
        )
        if number < num_failed:
            trials.append(
                known_trial(
                    number,
                    placement,
                    TrialState.FAILED,
                    metrics={},
                    error="loss became nan at step 12",
                )
            )
            continue
        num_msas = placement.count("M")
        trials.append(
            known_trial(
                number,
                placement,
                accuracy=0.8 + 0.02 * num_msas + rng.gauss(0, 0.02),
                params=20_000 + 3_000 * num_msas + 500 * placement.count("MM"),
                low_pass=rng.gauss(0.1, 0.05),
                hessian_max=rng.lognormvariate(3, 0.5),
                standard_errors={"accuracy": 0.01},
                baseline="all_conv" if number == num_failed else None,
            )
        )
    return trials


@pytest.fixture
def known_study():
    """Five trials whose front can be seen by eye."""
    return KnownStudy(
        [
            known_trial(0, "CC-CC", accuracy=0.70, params=100, baseline="all_conv"),
            known_trial(1, "CC-CM", accuracy=0.90, params=200,
                        standard_errors={"accuracy": 0.02}),
            known_trial(2, "CM-CC", accuracy=0.80, params=200),
            known_trial(3, "MM-MM", accuracy=0.95, params=400),
            known_trial(4, "CM-CM", TrialState.FAILED, metrics={}, error="diverged"),
            known_trial(5, "CM-MM", accuracy=0.85, params=300),
            known_trial(6, "MM-CM", TrialState.PRUNED, accuracy=0.99, params=50),
        ]
    )  # fmt: skip


@pytest.fixture
def make_study():
    """Build a KnownStudy from trials."""
    return KnownStudy


@pytest.fixture
def make_trial():
    """Build one trial."""
    return known_trial


@pytest.fixture
def make_trials():
    """Build many trials."""
    return many_trials


@pytest.fixture(scope="session")
def trained_study(tmp_path_factory):
    """Three small networks trained for an epoch on real digits, with their files."""
    from nas.data.datasets import load_dataset
    from nas.scoring.from_scratch import train_and_evaluate
    from search_spaces import Architecture, Attention, Placement

    config = config_from_dict(
        {
            "name": "digits",
            "data": {"name": "digits", "max_train": 256},
            "space": {
                "backbone": {
                    "block": "basic", "stem": "cifar",
                    "depths": [1, 2], "widths": [4, 8],
                },
                "attention": {"heads": 2, "head_dim": 4, "window": 4},
            },
            "training": {"epochs": 1, "warmup_epochs": 0},
            "evaluators": ["accuracy", "cost", "low_pass", "feature_variance"],
            "objectives": ["accuracy", "params"],
        }
    )  # fmt: skip
    dataset = load_dataset(config.data)
    path = tmp_path_factory.mktemp("digits")
    trials = []
    for number, placement in enumerate(("C-CC", "C-CM", "M-MM")):
        architecture = Architecture(
            backbone=config.space.make_backbone(),
            placement=Placement.parse(placement),
            attention=Attention(heads=2, head_dim=4, window=4),
            num_classes=dataset.num_classes,
            in_channels=dataset.in_channels,
            image_size=dataset.image_size,
        )
        result = train_and_evaluate(
            architecture,
            config,
            dataset,
            seed=number,
            directory=path / "trials" / str(number),
        )
        trials.append(
            known_trial(
                number,
                placement,
                metrics=result.metrics,
                standard_errors=result.standard_errors,
                seed=number,
                epochs=1,
                architecture=architecture.to_dict(),
                architecture_id=architecture.id,
                baseline="all_conv" if number == 0 else None,
            )
        )
    return KnownStudy(trials, "digits", config.make_objectives(), path, config)


@pytest.fixture
def published_copy(tmp_path):
    """A copy of the published study that a test may change."""
    source = Path(__file__).parents[2] / "results" / "cifar10-placement"
    copy = tmp_path / "published"
    copy.mkdir()
    for name in ("config.yaml", "study.log"):
        shutil.copy(source / name, copy / name)
    return copy


@pytest.fixture(scope="session")
def local_ray():
    """One Ray cluster of two CPUs on the loopback interface for all tests."""
    import search_parts

    from nas.execution.cluster import ray_cluster
    from nas.execution.resources import Resources

    with ray_cluster(Resources(max_concurrent=2)):
        import ray

        # Workers cannot import test modules: send the functions themselves.
        ray.cloudpickle.register_pickle_by_value(search_parts)
        yield
