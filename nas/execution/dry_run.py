"""Measures what a search will take, before anything is spent on it.

Two placements are trained for a part of an epoch where trials would run: in this
process, or by a worker of the Ray cluster with the resources of a trial.
"""

import hashlib
import json
import platform
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from nas.config import SearchConfig, with_plugins
from nas.data.cache_directory import CacheUnusableError, user_cache_directory
from nas.execution.cluster import num_slots, ray_cluster
from nas.execution.resources import Resources
from nas.execution.working_directory import go_to
from nas.plugins import import_plugins
from nas.sampling.baselines import baselines
from nas.sampling.halving import rungs
from nas.study.launch_cost import LaunchCost, MeasuredPlacement
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.spaces.space import SearchSpace

if TYPE_CHECKING:
    from nas.data.datasets import Dataset

_DRAWN = 1_000
"""Placements of which the cheapest, the dearest and the mean are taken; of a smaller
space all of them (our choice: a second)."""


def measure_launch(
    config: SearchConfig, tell: Callable[[str], None] = lambda line: None
) -> LaunchCost:
    """Measure what a search of a config will take.

    The result is kept in the user's cache directory, and a search with the same
    settings begins with it (:func:`remembered`).

    Args:
        config: Of the search.
        tell: Is told what is being measured.

    Returns:
        Hours, GPU hours and disk.

    Raises:
        InputError: The config cannot be searched, or is none of single trainings from
            scratch.
    """
    from nas.scoring.scratch import FromScratch

    config = with_plugins(config)
    wanted = config.resources
    if config.scoring.kind != FromScratch.name:
        raise InputError(
            "what a search takes is measured for scoring.kind scratch, "
            f"got {config.scoring.kind}"
        )
    if wanted.workers_per_trial > 1:
        raise InputError(
            "what a search takes is measured for trainings by one worker, got "
            f"resources.workers_per_trial {wanted.workers_per_trial}"
        )
    scorer = FromScratch(config)
    scorer.check()
    macs, cheapest, dearest = _extremes(scorer.space)
    resources = Resources.of_trial(wanted)
    measured: list[MeasuredPlacement] = []
    notes: set[str] = set()
    with _measuring(resources, config, scorer.data) as measure:
        at_once = wanted.max_concurrent or num_slots(resources)
        if not at_once:
            raise InputError(
                f"a trial needs {resources.cpus:g} CPUs and {resources.gpus:g} GPUs on "
                "one machine, which none has; lower resources.cpus_per_trial or "
                "resources.gpus_per_trial"
            )
        for one in (cheapest, dearest):
            tell(f"measuring {one.placement}: a part of an epoch, every evaluator")
            found, missing, device = measure(one)
            measured.append(found)
            notes.update(missing)
    cost = LaunchCost(
        trials=_num_trainings(config, scorer.space),
        at_once=at_once,
        epochs=config.training.epochs,
        mean_epochs=_mean_epochs(config),
        mean_macs=macs,
        cheapest=measured[0],
        dearest=measured[1],
        gpus_per_trial=wanted.gpus_per_trial,
        cpus_per_trial=wanted.cpus_per_trial,
        time_limit_s=config.search.time_limit_s,
        device=device,
        notes=(
            *sorted(notes),
            *(
                ("trainings were measured alone: side by side they may be slower",)
                if at_once > 1
                else ()
            ),
        ),
    )
    _remember(config, cost)
    return cost


Measure = Callable[[Architecture], tuple[MeasuredPlacement, tuple[str, ...], str]]


@contextmanager
def _measuring(
    resources: Resources, config: SearchConfig, data: "Dataset"
) -> Iterator[Measure]:
    """Something that measures a placement where trials would run."""
    if resources.address == "local":
        import torch

        if resources.gpus and not torch.cuda.is_available():
            raise InputError(
                f"resources.gpus_per_trial is {resources.gpus:g}, but this machine has "
                "no GPU; set it to 0, or resources.address to a cluster with one"
            )
        before = torch.get_num_threads()
        try:
            yield lambda one: _measure(one, config, data, resources)
        finally:
            torch.set_num_threads(before)
        return
    import ray

    with ray_cluster(resources):
        here = Path.cwd()

        def measure(
            one: Architecture, config: SearchConfig, data: "Dataset"
        ) -> tuple[MeasuredPlacement, tuple[str, ...], str]:
            go_to(here)
            return _measure(one, config, data, resources)

        remote = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus)(measure)
        shared = ray.put(data)
        yield lambda one: ray.get(remote.remote(one, config, shared))


def _measure(
    architecture: Architecture,
    config: SearchConfig,
    data: "Dataset",
    resources: Resources,
) -> tuple[MeasuredPlacement, tuple[str, ...], str]:
    import torch

    from nas.scoring.from_scratch import default_device
    from nas.scoring.pace import measure_placement

    import_plugins(config.plugins)
    torch.set_num_threads(max(1, int(resources.cpus)))
    device = default_device() if resources.gpus else torch.device("cpu")
    found, missing = measure_placement(architecture, config, data, device)
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{resources.cpus:g} CPU"
    )
    return found, missing, f"{name} of {platform.node()}"


def _extremes(space: SearchSpace) -> tuple[float, Architecture, Architecture]:
    """Mean MACs, the cheapest and the dearest placement."""
    if space.size <= _DRAWN:
        drawn = list(space.enumerate())
    else:
        rng = random.Random(0)
        drawn = [space.sample(rng) for _ in range(_DRAWN)]
        drawn += [a for a in baselines(space).values() if space.contains(a)]
    drawn.sort(key=lambda one: one.macs)
    return fmean(one.macs for one in drawn), drawn[0], drawn[-1]


def _num_trainings(config: SearchConfig, space: SearchSpace) -> int:
    """Trainings of the search; fewer than asked for where the space has fewer."""
    wanted = config.search
    extra = baselines(space).values() if wanted.baselines else ()
    outside = sum(not space.contains(one) for one in extra)
    return min(wanted.trials, (space.size + outside) * wanted.replicates)


def _mean_epochs(config: SearchConfig) -> float:
    """Epochs of a training in the mean, if each rung lets one in so many go on."""
    epochs, fidelity = config.training.epochs, config.search.fidelity
    if fidelity is None:
        return float(epochs)
    factor = fidelity.reduction_factor
    ends = (*rungs(fidelity.min_epochs, epochs, factor), epochs)
    starts = (0, *ends)
    steps = enumerate(zip(starts, ends, strict=False))
    return float(sum((end - start) / factor**rung for rung, (start, end) in steps))


def remembered(config: SearchConfig) -> LaunchCost | None:
    """What was measured for a search with these settings on this machine, if it was.

    Args:
        config: Of the search; the number of trials may differ.
    """
    try:
        cost = LaunchCost.read(_file(config))
    except CacheUnusableError:
        return None
    return cost and replace(
        cost, trials=config.search.trials, time_limit_s=config.search.time_limit_s
    )


def _remember(config: SearchConfig, cost: LaunchCost) -> None:
    try:
        path = _file(config)
        path.parent.mkdir(parents=True, exist_ok=True)
        cost.write(path)
    except (OSError, CacheUnusableError):
        return  # it is an estimate; the search has others


def _file(config: SearchConfig) -> Path:
    settings: dict[str, Any] = config.to_dict()
    for name in ("name", "seed", "objectives", "tracking", "storage", "rule"):
        settings.pop(name, None)
    settings["search"] = {"fidelity": settings["search"].get("fidelity")}
    text = json.dumps([settings, platform.node()], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:24]
    return user_cache_directory().parent / "launch_costs" / f"{digest}.json"
