"""One trial on several processes: data-parallel training through Ray Train.

The trial's own process starts the workers, waits, and hands their outcome on. Each
worker takes its share of every batch; the first evaluates and writes the artifacts.
"""

import csv
import json
import math
from typing import Any

from nas.scoring.trial_run import TrialOutcome, TrialRun
from nas.study.layout import TrialLayout

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
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    wanted = run.settings.resources
    files = TrialLayout(run.directory)
    on_gpu = wanted.gpus_per_trial > 0
    per_worker = {"CPU": wanted.cpus_per_trial}
    if on_gpu:
        per_worker["GPU"] = wanted.gpus_per_trial
    run.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    trainer = TorchTrainer(
        _train_share,
        train_loop_config={
            "architecture": dict(run.architecture),
            "settings": run.settings.to_dict(),
            "data": ray.put(run.data),
            "seed": run.seed,
            "epochs": run.epochs,
            "split_seed": run.split_seed,
            "directory": str(run.directory),
            "checkpoint": str(run.checkpoint),
        },
        torch_config=TorchConfig(backend="nccl" if on_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=wanted.workers_per_trial,
            use_gpu=on_gpu,
            resources_per_worker=per_worker,
        ),
        run_config=RunConfig(
            name=files.data_parallel.name, storage_path=str(run.directory.absolute())
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        raise RuntimeError(_reason(error)) from error
    with files.history.open(encoding="utf-8") as file:
        for epoch in csv.DictReader(file):
            run.watch({name: float(value) for name, value in epoch.items()})
    record = json.loads(files.metrics.read_bytes())
    return TrialOutcome(
        _numbers(record["metrics"]), _numbers(record["standard_errors"])
    )


def _train_share(task: dict[str, Any]) -> None:
    """What each worker runs."""
    from pathlib import Path

    import ray
    import torch
    from ray import train
    from ray.train.torch import get_device

    from nas.config import config_from_dict, with_plugins
    from nas.scoring.from_scratch import train_and_evaluate
    from nas.scoring.training import DataParallelWorker
    from search_spaces.architecture import Architecture

    settings = with_plugins(config_from_dict(task["settings"]))
    torch.set_num_threads(max(1, int(settings.resources.cpus_per_trial)))
    context = train.get_context()
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
        worker=DataParallelWorker(context.get_world_rank(), context.get_world_size()),
    )


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
