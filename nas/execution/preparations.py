"""Does in Ray's workers what a search needs before its first trial.

Each task gets the resources of a trial and as many run side by side as fit. A task that
is lost with its worker is started again, twice at most, and goes on where it was.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nas.execution.ray_runner import stop_on_sigterm
from nas.execution.resources import Resources
from nas.execution.trial_worker import limit_threads
from nas.execution.working_directory import go_to
from nas.scoring.scorer import Preparation

_RETRIES = 2
"""Our choice: a node may go once, and the next one may too."""


def prepare(
    tasks: Sequence[Preparation],
    data: Any,
    resources: Resources,
    tell: Callable[[str], None],
) -> bool:
    """Do all tasks.

    Args:
        tasks: What is to be done.
        data: What every task is given.
        resources: Of a trial.
        tell: Is told what has begun and what is done.

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
    waiting = tasks
    running: dict[Any, str] = {}
    most = resources.max_concurrent or len(tasks)
    try:
        with stop_on_sigterm(lambda: None):
            while waiting or running:
                free = most - len(running)
                for task in waiting[:free]:
                    reference = remote.remote(
                        task, shared, resources.cpus, resources.gpus, here
                    )
                    running[reference] = task.name
                waiting = waiting[free:]
                done, _ = ray.wait(list(running), num_returns=1)
                for reference in done:
                    try:
                        ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise error.cause from None
                    tell(f"{running.pop(reference)} is ready")
    except KeyboardInterrupt:
        return False
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
    return True


def _do(
    task: Preparation, data: Any, cpus: float, gpus: float, started_in: Path
) -> None:
    go_to(started_in)
    limit_threads(max(1, int(cpus)))
    task(data, gpus)
