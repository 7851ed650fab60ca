"""Which trackers there are, what each needs, and how each is made.

Starts nothing and imports nothing of theirs until a search is tracked.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nas.config import TrackingConfig
from nas.study.layout import StudyLayout
from nas.tracking.tracker import Tracker
from search_spaces.errors import InputError

_INSTALLED = {
    "tensorboard": "tensorboardX tensorboard",
    "mlflow": "mlflow-skinny sqlalchemy alembic",
    "wandb": "wandb",
}
"""What has to be installed."""

_PACKAGES = {"tensorboard": "tensorboardX", "mlflow": "mlflow", "wandb": "wandb"}
"""What writes; the programs that show it may be elsewhere."""

_WANDB_PATIENCE_S = 120.0
"""What the last trials have not sent by then is in the files that W&B keeps."""


def check_trackers(config: TrackingConfig) -> None:
    """Refuse a tracker that cannot work, before anything is written.

    Args:
        config: What is asked for.

    Raises:
        InputError: A package is missing, or nobody is logged in to W&B.
    """
    for name in config.to:
        package = _PACKAGES[name]
        spec = find_spec(package)
        # A directory `wandb` here is W&B's output, not the package.
        if spec is None or spec.origin is None:
            raise InputError(
                f"tracking to {name} needs the package {package}; "
                f"pip install {_INSTALLED[name]}"
            )
    if "wandb" in config.to and _wandb_mode(config) == "online":
        _check_login()


def _check_login() -> None:
    if os.environ.get("WANDB_API_KEY"):
        return
    import wandb

    if not wandb.login(prompt=False, verify=False):
        raise InputError(
            "tracking to wandb needs a login: run `wandb login`, set WANDB_API_KEY, "
            "or set tracking.wandb_mode=offline"
        )


def _wandb_mode(config: TrackingConfig) -> str:
    return config.wandb_mode or os.environ.get("WANDB_MODE") or "online"


def make_trackers(config: TrackingConfig, name: str, study: Path) -> list[Tracker]:
    """Make the trackers of a search; they start later.

    Args:
        config: What is asked for.
        name: Name of the study.
        study: The study directory.

    Returns:
        One for each name in ``config.to``.
    """
    make = {
        "tensorboard": _tensorboard,
        "mlflow": _mlflow,
        "wandb": _wandb,
    }
    return [make[one](config, name, study) for one in config.to]


def _tensorboard(config: TrackingConfig, name: str, study: Path) -> Tracker:
    directory = StudyLayout(study).tensorboard
    return Tracker(
        "tensorboard", f"tensorboard --logdir {directory}", _tensorboard_logger
    )


@contextmanager
def _tensorboard_logger() -> Iterator[Any]:
    from ray.tune.logger import TBXLoggerCallback

    yield TBXLoggerCallback()  # type: ignore[no-untyped-call]


def _mlflow(config: TrackingConfig, name: str, study: Path) -> Tracker:
    experiment = config.project or name
    uri = config.mlflow_uri or os.environ.get("MLFLOW_TRACKING_URI")
    shown = config.mlflow_uri or "MLFLOW_TRACKING_URI"  # which may hold a password
    if uri is None:
        uri = shown = f"sqlite:///{study / 'mlflow.db'}"

    def make() -> Any:
        from nas.tracking.mlflow_logger import mlflow_logger

        return mlflow_logger(uri, experiment, study)

    return Tracker("mlflow", f"experiment {experiment} at {shown}", make)


def _wandb(config: TrackingConfig, name: str, study: Path) -> Tracker:
    mode, project = _wandb_mode(config), config.project or name

    def make() -> Any:
        from nas.tracking.wandb_logger import wandb_logger

        return wandb_logger(project, name, mode, study)

    where = f"project {project}"
    if mode == "offline":
        where = f"wandb sync {study / 'wandb'}/offline-run-*"
    return Tracker("wandb", where, make, _WANDB_PATIENCE_S + 30)
