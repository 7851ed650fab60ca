"""The whole config: its sections, and what must hold between them."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from nas.config.data import DataConfig
from nas.config.running import ResourcesConfig, SamplingConfig, TrackingConfig
from nas.config.section import Section
from nas.config.space import SpaceConfig
from nas.config.training import TrainingConfig
from nas.ledger.trial import Objective
from nas.plugins import import_plugins
from search_spaces import InputError


class SearchConfig(Section):
    """Everything a search needs; what ``config.yaml`` of a study holds.

    Attributes:
        name: Name of the study; also the default name of its directory.
        seed: Seed of the sampler and, with the replicate's number, of the trials.
        data: Images and splits.
        space: Search space.
        training: Recipe of every trial.
        evaluators: Options by evaluator name, or a list of names.
        objectives: Metrics to improve: a name, or ``{metric, direction}``.
        search: Sampler and number of trials.
        resources: CPUs and GPUs.
        storage: Optuna storage URL; ``None`` is a journal file in the study.
        tracking: TensorBoard, MLflow, Weights & Biases; nobody by default.
        plugins: Modules that register evaluators or data sets when they are imported.
    """

    name: str = Field(default="study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    seed: int = Field(default=0, ge=0)
    data: DataConfig = DataConfig()
    space: SpaceConfig = SpaceConfig()
    training: TrainingConfig = TrainingConfig()
    evaluators: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: dict[str, dict[str, Any]](accuracy={}, cost={})
    )
    objectives: list[dict[str, str]] = Field(
        default_factory=lambda: [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "macs", "direction": "minimize"},
        ],
        min_length=1,
    )
    search: SamplingConfig = SamplingConfig()
    resources: ResourcesConfig = ResourcesConfig()
    storage: str | None = None
    tracking: TrackingConfig = TrackingConfig()
    plugins: list[str] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _import_plugins(cls, values: Any) -> Any:
        # First of all: what they register is allowed in the sections below.
        names = values.get("plugins") if isinstance(values, dict) else None
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            import_plugins(names)
        return values

    @field_validator("evaluators", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {name: {} for name in value}
        if isinstance(value, dict):
            return {name: options or {} for name, options in value.items()}
        return value

    @field_validator("objectives", mode="before")
    @classmethod
    def _directions(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [
            {"metric": one, "direction": _direction_of(one)}
            if isinstance(one, str)
            else {"direction": _direction_of(one.get("metric")), **one}
            if isinstance(one, dict) and "direction" not in one
            else one
            for one in value
        ]

    @model_validator(mode="after")
    def _workers_share_batches(self) -> Self:
        workers, batch = self.resources.workers_per_trial, self.training.batch_size
        if batch % workers:
            raise InputError(
                "resources.workers_per_trial must divide training.batch_size, "
                f"got {workers} and {batch}"
            )
        if workers > 1 and self.training.last_batch == "keep":
            raise InputError(
                "training.last_batch: keep gives workers shares of different sizes; "
                f"with resources.workers_per_trial {workers} it must be drop"
            )
        if workers > 1 and self.search.fidelity is not None:
            raise InputError(
                "search.fidelity stops trials of one worker; with "
                f"resources.workers_per_trial {workers} it must be left out"
            )
        return self

    @model_validator(mode="after")
    def _objectives_are_measured(self) -> Self:
        from evaluators.registry import make_evaluators

        measured = [
            metric.name
            for evaluator in make_evaluators(self.evaluators)
            for metric in evaluator.metrics
        ]
        names = [objective.metric for objective in self.make_objectives()]
        for name in names:
            if name not in measured:
                raise InputError(
                    f"objective {name!r} is not measured by the evaluators "
                    f"{', '.join(self.evaluators)}; they give {', '.join(measured)}"
                )
        if len(set(names)) != len(names):
            raise InputError(f"objectives must differ, got {', '.join(names)}")
        return self

    def make_objectives(self) -> tuple[Objective, ...]:
        """The objectives as values.

        Raises:
            InputError: A key other than metric and direction, or a bad direction.
        """
        found = []
        for one in self.objectives:
            if set(one) != {"metric", "direction"}:
                raise InputError(
                    "an objective has the keys metric and direction, "
                    f"got {', '.join(one)}"
                )
            found.append(Objective(one["metric"], one["direction"]))  # type: ignore[arg-type]
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Every setting as plain data, defaults included."""
        return self.model_dump(mode="json")


def _direction_of(metric: object) -> str:
    """The direction the metric table gives, for objectives that are a bare name."""
    from evaluators.registry import all_metrics

    table = all_metrics()
    if metric not in table:
        raise InputError(
            f"unknown metric {metric!r}; there are {', '.join(sorted(table))}"
        )
    direction = table[str(metric)].direction
    if direction == "none":
        raise InputError(
            f"neither direction of {metric!r} is better in itself; "
            f"write {{metric: {metric}, direction: maximize}} or minimize"
        )
    return direction
