"""Does in Ray's workers what a search needs before its first trial.

Each task gets the resources of a trial and as many run side by side as fit. A task that
is lost with its worker is started again, twice at most, and goes on where it was.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas.config.running import ResourcesConfig
from nas.execution.data_parallel import prepare_data_parallel
from nas.execution.ray_runner import stop_on_sigterm
from nas.execution.resources import Resources
from nas.execution.threads import limit_threads
from nas.execution.working_directory import go_to
from nas.scoring.scorer import Preparation
from nas.study.preparing import PreparingTask, preparing_tasks

_RETRIES = 2
"""Our choice: a node may go once, and the next one may too."""

_LOOK_S = 1.0
"""How often the driver looks how far the tasks are."""


def prepare(
    tasks: Sequence[Preparation],
    data: Any,
    resources: Resources,
    directory: Path,
    tell: Callable[[str], None],
    share: ResourcesConfig | None = None,
) -> bool:
    """Do all tasks.

    Args:
        tasks: What is to be done.
        data: What every task is given.
        resources: Of a trial.
        directory: Where each task writes how far it is, e.g. ``StudyLayout.preparing``.
        tell: Is told what has begun, every epoch, and what is done.
        share: Has ``workers_per_trial`` processes do each task together.

    Returns:
        Whether all are done; ``False`` if it was interrupted.

    Raises:
        Exception: What a task raised.
    """
    import ray

    remote = ray.remote(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=_RETRIES
    )(_do)
    shared, here = ray.put(data), Path.cwd()
    tell(f"preparing: {', '.join(task.name for task in tasks)}")
    lines = preparing_tasks(directory.absolute(), len(tasks))
    waiting = list(zip(tasks, lines, strict=True))
    running: dict[Any, tuple[str, PreparingTask]] = {}
    said = {line: "" for line in lines}

    def say_news() -> None:
        for _, line in running.values():
            if (text := line.read()) and text != said[line]:
                said[line] = text
                tell(text)

    most = resources.max_concurrent or len(tasks)
    try:
        with stop_on_sigterm(lambda: None):
            while waiting or running:
                free = most - len(running)
                for task, line in waiting[:free]:
                    reference = remote.remote(
                        task, shared, resources.cpus, resources.gpus, here, line, share
                    )
                    running[reference] = task.name, line
                waiting = waiting[free:]
                done, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK_S)
                say_news()
                for reference in done:
                    try:
                        ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise error.cause from None
                    name, line = running.pop(reference)
                    line.close()
                    tell(f"{name} is ready")
    except KeyboardInterrupt:
        return False
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        shutil.rmtree(directory, ignore_errors=True)
    return True


def _do(
    task: Preparation,
    data: Any,
    cpus: float,
    gpus: float,
    started_in: Path,
    line: PreparingTask,
    share: ResourcesConfig | None,
) -> None:
    go_to(started_in)
    limit_threads(max(1, int(cpus)))
    if share is None:
        task(data, gpus, line.tell)
    else:
        prepare_data_parallel(task, data, share, line)
