"""The whole config: its sections, and what must hold between them."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from nas.config.parent import ParentConfig
from nas.config.recipe import Recipe
from nas.config.rule import RuleConfig
from nas.config.running import ResourcesConfig, SamplingConfig, TrackingConfig
from nas.config.scoring import ScoringConfig
from nas.config.space import SpaceConfig
from nas.ledger.trial import Objective
from search_spaces.errors import InputError


class SearchConfig(Recipe):
    """Everything a search needs; what ``config.yaml`` of a study holds.

    Attributes:
        name: Name of the study; also the default name of its directory. A preset, and a
            file that names none, is called as the directory or else as the file.
        seed: Seed of the sampler and, with the replicate's number, of the trials.
        data: Images and splits.
        space: Search space.
        scoring: How a candidate gets its metrics: trained, or found out otherwise.
        parent: The trained CNN that the search starts from, if any.
        training: Recipe of every trial.
        evaluators: Options by evaluator name, or a list of names.
        objectives: Metrics to improve: a name, or ``{metric, direction}``.
        search: Sampler and number of trials.
        resources: CPUs and GPUs.
        storage: Optuna storage URL; ``None`` is a journal file in the study.
        rule: Plan of the rule test, registered before the first trial; ``None`` if
            nothing was planned.
        tracking: TensorBoard, MLflow, Weights & Biases; nobody by default.
        plugins: Modules that register evaluators or data sets when they are imported.
    """

    name: str = Field(default="study", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    space: SpaceConfig = SpaceConfig()
    scoring: ScoringConfig = ScoringConfig()
    parent: ParentConfig | None = None
    objectives: list[dict[str, str]] = Field(
        default_factory=lambda: [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "macs", "direction": "minimize"},
        ],
        min_length=1,
    )
    search: SamplingConfig = SamplingConfig()
    rule: RuleConfig | None = None
    resources: ResourcesConfig = ResourcesConfig()
    storage: str | None = None
    tracking: TrackingConfig = TrackingConfig()

    @field_validator("objectives", mode="before")
    @classmethod
    def _metrics_alone(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [{"metric": one} if isinstance(one, str) else one for one in value]

    @field_validator("objectives")
    @classmethod
    def _are_objectives(cls, value: list[dict[str, str]]) -> list[dict[str, str]]:
        for one in value:
            if "metric" not in one or not set(one) <= {"metric", "direction"}:
                raise InputError(
                    "an objective has the keys metric and direction, "
                    f"got {', '.join(one)}"
                )
            if "direction" in one:
                Objective(one["metric"], one["direction"])  # type: ignore[arg-type]
        names = [one["metric"] for one in value]
        if len(set(names)) != len(names):
            raise InputError(f"objectives must differ, got {', '.join(names)}")
        return value

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

    def make_objectives(self) -> tuple[Objective, ...]:
        """The objectives as values.

        Raises:
            InputError: The direction of an objective is not known yet.
        """
        found = []
        for one in self.objectives:
            if "direction" not in one:
                raise InputError(
                    f"the direction of objective {one['metric']!r} is known after the "
                    "plugins of the config are imported; or give it: "
                    f"{{metric: {one['metric']}, direction: maximize}}"
                )
            found.append(Objective(one["metric"], one["direction"]))  # type: ignore[arg-type]
        return tuple(found)

    def at_address(self, address: str | None) -> "SearchConfig":
        """The config with another Ray cluster.

        Args:
            address: Instead of ``resources.address``; ``None`` changes nothing.
        """
        if address is None:
            return self
        resources = self.resources.model_copy(update={"address": address})
        return self.model_copy(update={"resources": resources})

    def recipe(self) -> Recipe:
        """Data, training and evaluators alone."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})
