"""A small space and a trial function without training, for tests of orchestration."""

from collections.abc import Callable
from pathlib import Path

from nas.ledger import Ledger, Location, Proposal
from nas.proposer import Plan, Proposer
from nas.record import Objective
from nas.trial_run import TrialOutcome, TrialRun
from search_spaces import Architecture, Backbone, FreeSpace

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("macs", "minimize"))


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
