"""The config file of a search: every setting, its default, and where that is from.

Unknown keys are errors that list the known ones. ``load_config`` takes a preset's
name or a YAML file and ``--set key.path=value`` overrides.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from nas.plugins import import_plugins
from nas.record import Objective
from search_spaces import (
    KINDS,
    Attention,
    Backbone,
    InputError,
    LatencyTable,
    SearchSpace,
)
from search_spaces.architecture import attention_from_dict, backbone_from_dict
from search_spaces.constraints import Constraints

PRESETS = Path(__file__).parent / "presets"


class Section(BaseModel):
    """Base of all sections: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Section):
    """Which images, and how they are split.

    Attributes:
        name: ``mnist5k`` (5,000 real images that a package ships; the default),
            ``digits`` (scikit-learn), ``cifar10``, ``cifar100``, ``imagefolder``, or
            ``fake`` (noise, for smoke tests); more by ``register_dataset``.
        root: Directory of ``cifar10``, ``cifar100`` or ``imagefolder``.
        image_size: Resize to this height (= width) in pixels; ``None`` keeps the data
            set's own size (and is required for ``imagefolder``).
        download: Let torchvision download ``cifar10`` and ``cifar100``.
        validation_fraction: Share of the training images that is held out for the
            search, the same for every trial; ignored where the data has a ``val``
            directory.
        test_fraction: Share held out for the final test where the data set has no
            test split of its own.
        max_train: Use at most this many training images, drawn evenly from the
            classes; ``None`` for all.
        max_validation: The same for validation images.
        max_test: The same for test images.
        split_seed: Seed of these draws; not that of the search, so that searches with
            other seeds see the same images.
    """

    name: str = "mnist5k"
    root: str | None = None
    image_size: int | None = Field(default=None, ge=4, le=1024)
    download: bool = False
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    max_train: int | None = Field(default=None, ge=1)
    max_validation: int | None = Field(default=None, ge=1)
    max_test: int | None = Field(default=None, ge=1)
    split_seed: int = Field(default=0, ge=0)


class SpaceConfig(Section):
    """The search space; see ``search_spaces.SearchSpace``.

    Attributes:
        kind: ``free`` or ``per_stage_count``.
        backbone: ``{preset: NAME, stem: STEM}``, or block, stem, depths and widths.
        attention: ``heads``, ``head_dim``, ``window`` and ``size``.
        choices: Settings that are searched, each with a list of values a stage.
        constraints: ``min_``/``max_`` of ``msas``, ``params`` and ``macs``, and
            ``max_latency`` in seconds of a forward pass of a batch, estimated from
            ``latency_table``.
        strided_msas: Whether strided first blocks may be MSAs.
        latency_table: Block times of the device that ``max_latency`` is about: a file
            that ``nas space CONFIG --measure-latency FILE.yaml`` wrote there. A
            study's own config holds the times themselves.
    """

    kind: Literal["free", "per_stage_count"] = "free"
    backbone: dict[str, Any] = Field(default_factory=lambda: {"preset": "tiny"})
    attention: dict[str, Any] = Field(default_factory=dict)
    choices: dict[str, list[list[int | Literal["auto"]]]] = Field(default_factory=dict)
    constraints: dict[str, int | float | None] = Field(default_factory=dict)
    strided_msas: bool = False
    latency_table: dict[str, Any] | None = None

    @field_validator("backbone", mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        return {"preset": value} if isinstance(value, str) else value

    @field_validator("latency_table", mode="before")
    @classmethod
    def _read_table(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return yaml.safe_load(Path(value).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InputError(
                "space.latency_table must be a file that `nas space CONFIG "
                f"--measure-latency FILE.yaml` wrote; {' '.join(str(error).split())}"
            ) from error

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        self.make_backbone()
        self.make_attention()
        self.make_constraints()
        self.make_latency_table()
        return self

    def make_backbone(self) -> Backbone:
        """The backbone, checked."""
        return backbone_from_dict(self.backbone)

    def make_attention(self) -> Attention:
        """The attention settings, checked."""
        return attention_from_dict(self.attention)

    def make_constraints(self) -> Constraints:
        """The constraints, checked."""
        allowed = tuple(Constraints.__dataclass_fields__)
        for key in self.constraints:
            if key not in allowed:
                raise InputError(
                    f"constraints has no key {key!r}; allowed: {', '.join(allowed)}"
                )
        return Constraints(**self.constraints)  # type: ignore[arg-type]  # it checks

    def make_latency_table(self) -> LatencyTable | None:
        """The latency table, checked."""
        if self.latency_table is None:
            return None
        return LatencyTable.from_dict(self.latency_table)

    def make(self, num_classes: int, in_channels: int, image_size: int) -> SearchSpace:
        """The space for images of a given shape.

        Args:
            num_classes: Classes of the data set.
            in_channels: Channels of its images.
            image_size: Height (= width) of its images in pixels.

        Returns:
            The space.

        Raises:
            InputError: The parts do not fit together.
        """
        return KINDS[self.kind](
            self.make_backbone(),
            self.make_attention(),
            self.choices,
            self.make_constraints(),
            self.strided_msas,
            num_classes,
            in_channels,
            image_size,
            self.make_latency_table(),
        )


class TrainingConfig(Section):
    """One recipe for every candidate.

    Attributes:
        recipe: Where unset values come from: ``default`` (ours, for short runs on
            small data) or ``paper`` (configs/cifar100_vit.yaml of the reference:
            5 + 300 epochs).
        epochs: Epochs after the warm-up is counted in.
        batch_size: Images in a step.
        learning_rate: Peak learning rate of AdamW.
        weight_decay: Of AdamW; not applied to norms, biases and position biases.
        warmup_epochs: Linear warm-up, step by step from 0.
        label_smoothing: Of the cross-entropy.
        mixup: Alpha of mixup; 0 is off.
        cutmix: Alpha of CutMix; 0 is off. With both, one of them at random a batch.
        randaugment: Magnitude of RandAugment with two operations; 0 is off.
        crop_padding: Pixels of padding before a random crop; 0 is off.
        horizontal_flip: Probability of a mirror image.
        drop_path: Largest drop-path rate, at the last block.
        clip_norm: Largest gradient norm; 0 is off.
        amp: ``off``, ``bf16``, or ``auto`` (bf16 on CUDA, off on a CPU, where it was
            not faster in our measurements).
        channels_last: Memory format; ``auto`` is on (7 to 30% faster on a CPU in our
            measurements).
    """

    recipe: Literal["default", "paper"] = "default"
    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup_epochs: float = Field(default=1.0, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    mixup: float = Field(default=0.0, ge=0)
    cutmix: float = Field(default=0.0, ge=0)
    randaugment: int = Field(default=0, ge=0, le=30)
    crop_padding: int = Field(default=0, ge=0)
    horizontal_flip: float = Field(default=0.0, ge=0, le=1)
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float = Field(default=5.0, ge=0)
    amp: Literal["auto", "off", "bf16"] = "auto"
    channels_last: Literal["auto", "on", "off"] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _fill_from_recipe(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("recipe") == "paper":
            return {**PAPER_RECIPE, **values}
        return values

    @model_validator(mode="after")
    def _warm_up_ends(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise InputError(
                "training.warmup_epochs <= training.epochs must hold, "
                f"got {self.warmup_epochs:g} and {self.epochs}"
            )
        return self


PAPER_RECIPE: dict[str, Any] = {
    # configs/cifar100_vit.yaml of the reference, "mostly used in the paper".
    "epochs": 305,  # 5 of warm-up, then 300
    "batch_size": 96,
    "learning_rate": 1.25e-4,
    "weight_decay": 0.05,
    "warmup_epochs": 5.0,
    "label_smoothing": 0.1,
    "mixup": 1.0,
    "cutmix": 0.8,
    "randaugment": 9,
    "crop_padding": 4,
    "horizontal_flip": 0.5,
    # The config says 0.1, but the released notebook never passes it on.
    "drop_path": 0.0,
    "clip_norm": 5.0,
}


class FidelityConfig(Section):
    """Successive halving: stop weak trials early.

    Attributes:
        min_epochs: Epochs of the first rung.
        reduction_factor: One in this many trials is promoted at each rung.
    """

    min_epochs: int = Field(default=1, ge=1)
    reduction_factor: int = Field(default=3, ge=2)


class SamplingConfig(Section):
    """Who chooses the placements, and how many.

    Attributes:
        sampler: ``tpe``, ``nsga2``, ``gp``, ``random``, ``exhaustive``, or a design
            for measuring: ``uniform``, ``factorial``, ``build_up``.
        trials: Training runs to finish, baselines included.
        replicates: Seeds with which each placement is trained.
        replicate_first: Train only the first so many placements, baselines included,
            with all seeds and the later ones with one: enough to know the noise.
        baselines: Train the all-Conv parent and the paper's rivals first.
        time_limit_s: Stop starting trials after this many seconds.
        trial_time_limit_s: Fail a trial that takes longer.
        fidelity: Successive halving; ``None`` trains every trial to its end.
        options: Options of the sampler.
    """

    sampler: str = "tpe"
    trials: int = Field(default=24, ge=1)
    replicates: int = Field(default=1, ge=1)
    replicate_first: int | None = Field(default=None, ge=1)
    baselines: bool = True
    time_limit_s: float | None = Field(default=None, gt=0)
    trial_time_limit_s: float | None = Field(default=None, gt=0)
    fidelity: FidelityConfig | None = None
    options: dict[str, Any] = Field(default_factory=dict)


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


def config_from_dict(data: Any, where: str = "the config") -> SearchConfig:
    """Check plain data and turn it into a config.

    Args:
        data: A mapping of sections.
        where: How messages name the source.

    Returns:
        The config with all defaults filled in.

    Raises:
        InputError: The first problem, in one line.
    """
    if not isinstance(data, Mapping):
        raise InputError(
            f"{where}: a config is a mapping of sections, got {type(data).__name__}"
        )
    try:
        return SearchConfig.model_validate(dict(data))
    except ValidationError as error:
        raise InputError(f"{where}: {_first_problem(error)}") from error
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        model: Any = SearchConfig
        for part in path[:-1]:
            annotation = model.model_fields[part].annotation
            options = getattr(annotation, "__args__", (annotation,))
            model = next(one for one in options if hasattr(one, "model_fields"))
        return f"unknown key {key!r}; allowed here: {', '.join(model.model_fields)}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "value_error":
        return message
    message = message[0].lower() + message[1:]
    return f"{key}: {message}, got {first['input']!r}"


def preset_names() -> list[str]:
    """Names of the presets that ``nas search`` knows."""
    return sorted(path.stem for path in PRESETS.glob("*.yaml"))


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> SearchConfig:
    """Read a preset or a YAML file and apply overrides.

    Args:
        source: Name of a preset, or path of a YAML file or of a study.
        overrides: ``key.path=value`` texts; the value is YAML.

    Returns:
        The config.

    Raises:
        InputError: There is no such preset or file, or its content is not valid.
    """
    path = Path(source)
    if str(source) in preset_names():
        path = PRESETS / f"{source}.yaml"
    elif (path / "config.yaml").is_file():
        path = path / "config.yaml"
    elif not path.is_file():
        raise InputError(
            "a config is a YAML file, a study directory or a preset "
            f"({', '.join(preset_names())}); there is no {str(source)!r}"
        )
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise InputError(f"{source}: a config must be YAML: {problem}") from error
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise InputError(
            f"{source}: a config is a mapping of sections, got {type(data).__name__}"
        )
    data.pop("study", None)  # the header of a study's own config
    for override in overrides:
        _apply(data, override)
    return config_from_dict(data, str(source))


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise InputError(
            f"--set takes key.path=value, e.g. training.epochs=3; got {override!r}"
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(
            f"--set {key}: the value must be YAML, got {text!r}"
        ) from error
    *parents, last = key.split(".")
    here = data
    for parent in parents:
        below = here.setdefault(parent, {})
        if below is None:
            below = here[parent] = {}
        if not isinstance(below, dict):
            raise InputError(f"--set {key}: {parent!r} has no keys of its own")
        here = below
    here[last] = value
