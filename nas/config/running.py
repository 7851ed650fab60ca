"""Sections ``search``, ``resources``, ``tracking``: how the trials are run."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from nas.config.section import Section
from search_spaces.errors import InputError


class FidelityConfig(Section):
    """Successive halving: stop weak trials early.

    Attributes:
        min_epochs: Epochs of the first rung.
        reduction_factor: One in this many trials is promoted at each rung.
    """

    min_epochs: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=3, ge=2)


Source = Literal["seed", "split"]
"""What may differ between the runs of a search besides the network."""


def _seed_alone() -> list[Source]:
    return ["seed"]


class SamplingConfig(Section):
    """Who chooses the placements, and how many.

    Attributes:
        sampler: ``linear``, ``tpe``, ``nsga2``, ``gp``, ``random``, ``exhaustive``, or
            a design for measuring: ``uniform``, ``factorial``, ``swaps``, ``build_up``.
        trials: Training runs to finish, baselines included.
        replicates: Seeds with which each placement is trained.
        randomise: What the runs of a search do not share. ``seed``: a replicate has a
            training seed of its own. ``split``: which of the training and validation
            images are held out is drawn anew for every replicate of every placement
            (with ``swaps``: of every block, whose placements share it), so that
            intervals are not those of one split. The test images stay.
        replicate_first: Train only the first so many placements, baselines included,
            with all seeds and the later ones with one: enough to know the noise.
        baselines: Train the all-Conv parent and the paper's rivals first.
        time_limit_s: Stop starting trials after this many seconds.
        trial_time_limit_s: Fail a trial that takes longer.
        fidelity: Successive halving; ``None`` trains every trial to its end.
        options: Options of the sampler.
        allow_noisy: Accept objectives that were measured to be mostly noise for a
            single network (docs/metrics.md says which).
    """

    sampler: str = "tpe"
    trials: int = Field(default=24, ge=1)
    replicates: int = Field(default=1, ge=1)
    randomise: list[Source] = Field(default_factory=_seed_alone, min_length=1)
    replicate_first: int | None = Field(default=None, ge=1)
    baselines: bool = True
    time_limit_s: float | None = Field(default=None, gt=0)
    trial_time_limit_s: float | None = Field(default=None, gt=0)
    fidelity: FidelityConfig | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    allow_noisy: bool = False

    @field_validator("randomise", mode="before")
    @classmethod
    def _one_alone(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("randomise")
    @classmethod
    def _in_one_order(cls, value: list[Source]) -> list[Source]:
        return sorted(set(value))


class ResourcesConfig(Section):
    """What one trial gets, and where the trials run.

    Attributes:
        cpus_per_trial: CPUs of a trial; it gets as many math threads.
        gpus_per_trial: GPUs of a trial; fractions share one.
        workers_per_trial: Processes that train one network together, each with the
            CPUs and GPUs above and its share of every batch (Ray Train). More than
            one is for networks that are too slow for one GPU: trials then run one
            after another.
        max_concurrent: Most trials at once; ``None`` for as many as fit.
        address: ``local``, ``auto`` or ``ray://host:port``.
    """

    cpus_per_trial: float = Field(default=1, gt=0)
    gpus_per_trial: float = Field(default=0, ge=0)
    workers_per_trial: int = Field(default=1, ge=1)
    max_concurrent: int | None = Field(default=None, ge=1)
    address: str = "local"


class TrackingConfig(Section):
    """Who else is shown the trials while they run; a bare list is ``to``.

    Nothing secret belongs here, for a study keeps its config: logins are those of
    the trackers' own commands and environment variables.

    Attributes:
        to: Any of ``tensorboard`` (files in the study), ``mlflow`` and ``wandb``
            (Weights & Biases).
        project: Name of the W&B project and of the MLflow experiment; the study's name
            if ``None``.
        mlflow_uri: MLflow server (``https://host``) or database (``sqlite:///file``).
            ``None`` is ``MLFLOW_TRACKING_URI`` if that is set, else ``mlflow.db`` in
            the study.
        wandb_mode: ``offline`` writes into the study, for ``wandb sync`` later;
            ``None`` is ``WANDB_MODE`` if that is set, else ``online``.
    """

    to: list[Literal["tensorboard", "mlflow", "wandb"]] = Field(default_factory=list)
    project: str | None = Field(default=None, min_length=1)
    mlflow_uri: str | None = None
    wandb_mode: Literal["online", "offline"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        value = [value] if isinstance(value, str) else value
        return {"to": value} if isinstance(value, list) else value

    @field_validator("to")
    @classmethod
    def _once_each(cls, value: list[str]) -> list[str]:
        return list(dict.fromkeys(value))

    @field_validator("mlflow_uri")
    @classmethod
    def _is_safe_to_keep(cls, value: str | None) -> str | None:
        if value is None or value == "databricks":
            return value
        scheme, separator, rest = value.partition("://")
        if not separator or scheme == "file":
            raise InputError(
                "tracking.mlflow_uri must be a server (https://host) or a database "
                "(sqlite:///mlflow.db; MLflow has given up plain directories), "
                f"got {value!r}"
            )
        user, at, _ = rest.partition("/")[0].rpartition("@")
        if at and ":" in user:
            raise InputError(
                "tracking.mlflow_uri must not hold a password, for the study keeps its "
                "config; set MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD"
            )
        return value
