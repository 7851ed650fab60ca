"""Tune's Weights & Biases logger, with failed trials shown as such.

Each trial has a process of its own that talks to W&B (Tune's design, because W&B wants
one process a run). Errors in there are brought here; Tune's logger drops them.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.air.integrations.wandb import WandbLoggerCallback, _WandbLoggingActor
from ray.air.util.node import _force_on_current_node
from ray.exceptions import RayTaskError


class _Wandb:
    """The module ``wandb``, whose ``finish`` says whether the trial failed."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def finish(self) -> None:
        self._module.finish(exit_code=1 if self.failed else 0)


class _RunWriter(_WandbLoggingActor):
    """The process of one run."""

    def __init__(self, logdir: str, *args: Any, **kwargs: Any) -> None:
        # Tune's directory of the trial is temporary, or TensorBoard's.
        super().__init__(kwargs["dir"], *args, **kwargs)
        self._module = _Wandb(self._wandb)
        self._wandb: Any = self._module

    def _handle_result(self, result: dict[str, Any]) -> tuple[Any, Any]:
        state = result.get("config", {}).get("state")
        self._module.failed = state in ("failed", "lost")
        return super()._handle_result(result)


class WandbLogger(WandbLoggerCallback):
    """Writes one run a trial into one group a study."""

    def setup(self, *args: Any, **info: Any) -> None:
        """Say how the processes are started.

        Instead of Tune's: that wants a login even for offline runs, and hands no
        variable but the API key on to a cluster.
        """
        settings = {k: v for k, v in os.environ.items() if k.startswith("WANDB_")}
        settings.setdefault("WANDB_ERROR_REPORTING", "false")  # nor Ray's statistics
        settings.setdefault("WANDB_CONSOLE", "off")
        self._has_failed = False
        here: Any = _force_on_current_node()
        started = ray.remote(num_cpus=0, runtime_env={"env_vars": settings}, **here)
        self._remote_logger_class: Any = started(_RunWriter)

    def _cleanup_logging_actor(self, trial: Any) -> None:
        future = self._trial_logging_futures[trial]
        super()._cleanup_logging_actor(trial)
        if self._has_failed or not ray.wait([future], timeout=0)[0]:
            return
        try:
            ray.get(future)
        except RayTaskError as error:
            self._has_failed = True  # once is enough, also while this is thrown away
            reason = f"{type(error.cause).__name__}: {error.cause}"
            raise RuntimeError(reason) from error


@contextmanager
def wandb_logger(
    project: str, group: str, mode: str, study: Path, patience_s: float
) -> Iterator[WandbLogger]:
    """A W&B logger.

    Args:
        project: Name of the project.
        group: Name of the study.
        mode: ``online`` or ``offline``.
        study: The study directory; W&B keeps its files in ``wandb`` there.
        patience_s: How long the end waits for uploads.
    """
    yield WandbLogger(
        project=project,
        group=group,
        upload_timeout=int(patience_s),
        mode=mode,
        dir=str(study),
    )
