"""One network on several processes: data-parallel training through Ray Train.

The process of the trial, or of the preparation, starts the workers, waits, and hands
their outcome on. Each worker takes its share of every batch; the first evaluates and
writes the artifacts.
"""

import csv
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.config.running import ResourcesConfig
from nas.execution.threads import limit_threads
from nas.execution.working_directory import go_to
from nas.scoring.scorer import Preparation
from nas.scoring.trial_run import TrialOutcome, TrialRun
from nas.study.layout import TrialLayout
from nas.study.preparing import PreparingTask

if TYPE_CHECKING:
    from nas.scoring.training import DataParallelWorker

IDLE_CPUS = 0.01
"""What a process that only waits reserves; Ray's smallest unit is 0.0001."""


def train_data_parallel(run: TrialRun) -> TrialOutcome:
    """Train and measure one network with ``resources.workers_per_trial`` workers.

    Args:
        run: What to do; its settings are a ``SearchConfig``, its data a ``Dataset``.

    Returns:
        The metrics.

    Raises:
        RuntimeError: A worker failed; the message is the worker's.
    """
    import ray

    files = TrialLayout(run.directory)
    run.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    task = {
        "architecture": dict(run.architecture),
        "settings": run.settings.to_dict(),
        "data": ray.put(run.data),
        "seed": run.seed,
        "epochs": run.epochs,
        "split_seed": run.split_seed,
        "directory": str(run.directory),
        "checkpoint": str(run.checkpoint),
    }
    _run_workers(_train_share, task, run.settings.resources, files.data_parallel)
    with files.history.open(encoding="utf-8") as file:
        for epoch in csv.DictReader(file):
            run.watch({name: float(value) for name, value in epoch.items()})
    record = json.loads(files.metrics.read_bytes())
    return TrialOutcome(
        _numbers(record["metrics"]), _numbers(record["standard_errors"])
    )


def prepare_data_parallel(
    task: Preparation, data: Any, wanted: ResourcesConfig, line: PreparingTask
) -> None:
    """Do what comes before the first trial with several workers together.

    Args:
        task: What is to be done.
        data: What it is given.
        wanted: Says how many workers, and what each gets.
        line: Where it says how far it is.

    Raises:
        RuntimeError: A worker failed; the message is the worker's.
    """
    import ray

    directory = line.path.with_suffix(".ray_train")
    shutil.rmtree(directory, ignore_errors=True)  # a killed driver's: begin anew
    share = {
        "task": task,
        "data": ray.put(data),
        "cpus": wanted.cpus_per_trial,
        "gpus": wanted.gpus_per_trial,
        "here": str(Path.cwd()),
        "line": line,
    }
    try:
        _run_workers(_prepare_share, share, wanted, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _run_workers(
    loop: Callable[[dict[str, Any]], None],
    task: dict[str, Any],
    wanted: ResourcesConfig,
    directory: Path,
) -> None:
    """Have each worker run a function; what Ray Train keeps goes to a directory."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    on_gpu = wanted.gpus_per_trial > 0
    per_worker = {"CPU": wanted.cpus_per_trial}
    if on_gpu:
        per_worker["GPU"] = wanted.gpus_per_trial
    trainer = TorchTrainer(
        loop,
        train_loop_config=task,
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=wanted.workers_per_trial,
            use_gpu=on_gpu,
            resources_per_worker=per_worker,
        ),
        run_config=RunConfig(
            name=directory.name, storage_path=str(directory.parent.absolute())
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        raise RuntimeError(_reason(error)) from error


def _train_share(task: dict[str, Any]) -> None:
    """What each worker of a trial runs."""
    import ray
    from ray.train.torch import get_device

    from nas.config import config_from_dict, with_plugins
    from nas.scoring.from_scratch import train_and_evaluate
    from search_spaces.architecture import Architecture

    settings = with_plugins(config_from_dict(task["settings"]))
    limit_threads(max(1, int(settings.resources.cpus_per_trial)))
    train_and_evaluate(
        Architecture.from_dict(task["architecture"]),
        settings,
        ray.get(task["data"]),
        seed=task["seed"],
        epochs=task["epochs"],
        split_seed=task["split_seed"],
        directory=Path(task["directory"]),
        device=get_device(),
        checkpoint=Path(task["checkpoint"]),
        worker=_this_worker(),
    )


def _prepare_share(share: dict[str, Any]) -> None:
    """What each worker of a preparation runs."""
    import ray
    import torch
    from ray.train.torch import get_device

    go_to(Path(share["here"]))
    limit_threads(max(1, int(share["cpus"])))
    if share["gpus"]:
        torch.cuda.set_device(get_device())  # all workers of a node see all its GPUs
    task, line = share["task"], share["line"]
    task(ray.get(share["data"]), share["gpus"], line.tell, _this_worker())


def _this_worker() -> "DataParallelWorker":
    from ray import train

    from nas.scoring.training import DataParallelWorker

    context = train.get_context()
    return DataParallelWorker(context.get_world_rank(), context.get_world_size())


def _numbers(values: dict[str, float | None]) -> dict[str, float]:
    """JSON's null back to NaN, which the ledger judges."""
    return {name: math.nan if v is None else v for name, v in values.items()}


def _reason(error: Exception) -> str:
    """The worker's own message out of Ray Train's report."""
    cause: BaseException = error
    failures = getattr(error, "worker_failures", None)
    if failures:
        cause = next(iter(failures.values()))
    return " ".join(str(cause).strip().splitlines()[-1:])
