"""A small space and a trial function without training, for tests of orchestration."""

from collections.abc import Callable
from pathlib import Path

from nas.ledger.ledger import Ledger, Proposal
from nas.ledger.location import Location
from nas.ledger.trial import Objective
from nas.sampling.proposer import Plan, Proposer
from nas.scoring.trial_run import TrialOutcome, TrialRun
from search_spaces import Architecture, Backbone, FreeSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("macs", "minimize"))


QUICK = (
    "data.max_train=64", "data.max_validation=32", "data.max_test=32",
    "training.epochs=1", "training.warmup_epochs=0", "training.batch_size=32",
)  # fmt: skip
"""Changes that make the trainings of any config short."""


def small_space(**fields: object) -> FreeSpace:
    """32 placements of 5 free slots."""
    backbone = Backbone("basic", "patch2", (3, 3), (8, 16), (1, 2))
    return FreeSpace(backbone, image_size=16, **fields)


def new_ledger(directory: Path, **options: object) -> Ledger:
    return Ledger(
        Location("", directory / "study.log"), "test", OBJECTIVES, create=True
    )


def reopened(directory: Path) -> Ledger:
    return Ledger(Location("", directory / "study.log"), "test", OBJECTIVES)


def settings(**changes: object) -> dict[str, object]:
    """Content of a small study's config.yaml."""
    return {
        "study": {"format": "nas-study/1"},
        "name": "test",
        "objectives": [
            {"metric": o.metric, "direction": o.direction} for o in OBJECTIVES
        ],
        "search": {"trials": 8},
        **changes,
    }


def plan(space: FreeSpace | None = None, **changes: object) -> Plan:
    fields = {"sampler": "random", "num_trials": 8, "seed": 0, "epochs": 2}
    return Plan(space=space or small_space(), **{**fields, **changes})


def measured(architecture: Architecture, seed: int = 0) -> dict[str, float]:
    """Made-up metrics that depend on the run alone."""
    letters = architecture.placement.letters
    value = sum(2.0**-i for i, letter in enumerate(letters) if letter == "M")
    return {"accuracy": value / 2 + seed / 1000, "macs": float(architecture.macs)}


def run_all(
    ledger: Ledger, proposer: Proposer, train: Callable[[Proposal], dict] | None = None
) -> list[Proposal]:
    """Drive a search with a plain loop."""
    done = []
    while isinstance(proposal := proposer.next(), Proposal):
        metrics = (
            measured(proposal.architecture, proposal.seed)
            if train is None
            else train(proposal)
        )
        ledger.complete(proposal.number, metrics)
        done.append(proposal)
    return done


def fake_trial(run: TrialRun) -> TrialOutcome:
    """A trial function that computes :func:`measured`."""
    architecture = Architecture.from_dict(dict(run.architecture))
    return TrialOutcome(measured(architecture, run.seed), {"accuracy": 0.01})


def misbehaving_trial(run: TrialRun) -> TrialOutcome:
    """Does something else wrong at each of the space's first placements."""
    import os
    import time

    placements = [a.placement for a in small_space().enumerate()]
    architecture = Architecture.from_dict(dict(run.architecture))
    match placements.index(architecture.placement):
        case 0:
            raise ValueError("boom\nover two lines")
        case 1:
            return TrialOutcome({"accuracy": float("nan"), "macs": 1.0})
        case 2:
            return TrialOutcome({"accuracy": 0.5})
        case 3:
            marker = run.directory.parent / "died-once"
            if not marker.exists():
                marker.touch()
                os._exit(1)  # as if the system had killed the process
        case 4:
            time.sleep(600)
        case 5:
            raise MemoryError("cannot allocate 8 GiB")
    return fake_trial(run)


def climbing_trial(run: TrialRun) -> TrialOutcome:
    """Reports at each rung; the more MSAs, the better at every epoch."""
    architecture = Architecture.from_dict(dict(run.architecture))
    best = measured(architecture)
    for epoch in range(1, run.epochs + 1):
        now = {**best, "accuracy": best["accuracy"] * epoch / run.epochs}
        if epoch in run.rungs:
            run.report(epoch, now)
    return TrialOutcome(now)


def write_parent(path: Path) -> Path:
    """A drawn all-Conv network as an exported parent, for images of 1 x 16 x 16."""
    import torch
    from safetensors.torch import save_file

    from search_spaces import Placement

    architecture = Architecture(
        Backbone("basic", "patch2", (2, 2), (8, 16)),
        Placement.parse("CC-CC"),
        num_classes=10,
        in_channels=1,
        image_size=16,
    )
    torch.manual_seed(0)
    architecture.to_yaml(path / "architecture.yaml")
    save_file(architecture.build().state_dict(), path / "weights.safetensors")
    return path


def config(**changes: object) -> object:
    """A search over the 32 placements of :func:`small_space`."""
    from nas.config import config_from_dict

    search = {"sampler": "exhaustive", "trials": 8, "baselines": False}
    search |= changes.pop("search", {})
    resources = {"max_concurrent": 2} | changes.pop("resources", {})
    return config_from_dict(
        {
            "name": "test",
            "data": {"name": "fake", "image_size": 16},
            "space": {
                "backbone": {
                    "block": "basic",
                    "stem": "patch2",
                    "depths": [3, 3],
                    "widths": [8, 16],
                    "strides": [1, 2],
                }
            },
            "training": {"epochs": 4},
            "search": search,
            "resources": resources,
            **changes,
        }
    )


def digits_search(name: str, epochs: int, **search: object) -> dict[str, object]:
    """A search as a user writes it, of networks that a worker really trains."""
    return {
        "name": name,
        "data": {"name": "digits"},
        "space": {
            "backbone": {
                "block": "basic",
                "stem": "cifar",
                "depths": [2, 1],
                "widths": [16, 32],
            }
        },
        "training": {"epochs": epochs},
        "evaluators": {"accuracy": {}, "cost": {}},
        "search": {"sampler": "random", **search},
    }
