"""What ``nas claims`` trains and how it decides, fixed before anything is measured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from nas.config import SearchConfig, config_from_dict, preset_names
from nas.config.loading import PRESETS, with_changes
from nas.config.section import Section
from search_spaces.errors import InputError, shown
from search_spaces.yaml_text import read_yaml

LEVEL = 0.05
"""Error rate of the whole table: Holm over its rows."""


class ClaimsPlan(Section):
    """Section ``claims`` of a config.

    Attributes:
        seeds: Trainings of each network. Two are the fewest that have a spread; with
            three a difference must be about five times its standard error to be told
            in a table of eight rows (our choice).
        mac_tolerance: Largest relative difference between the MACs of a network and
            those of the ResNet (our choice: a tenth; whole heads and widths leave
            gaps).
        vit_depth: Layers of the ViTs; their width is found. The default is half of
            ViT-Ti's 12, because an MSA and an MLP block are two blocks.
        vit_heads: Heads of each layer (ViT-Ti has 3; with 2 the width of small
            networks comes in finer steps).
        few_images: Share of the training images on which ResNet and AlterNet are
            trained once more (claim 8).
        few_epochs: Epochs there, as a multiple of those with all images. Our choice:
            3, because equal epochs would be a tenth of the steps.
        table: Study or table of trials that the rule (claim 7) is read from: its
            question needs many placements, which this command does not train.
    """

    seeds: int = Field(default=3, ge=2, le=100)
    mac_tolerance: float = Field(default=0.1, gt=0, lt=1)
    vit_depth: int = Field(default=6, ge=2, le=64)
    vit_heads: int = Field(default=2, ge=1, le=64)
    few_images: float = Field(default=0.1, gt=0, lt=1)
    few_epochs: int = Field(default=3, ge=1, le=1000)
    table: str | None = None


EVALUATORS = (
    "accuracy", "cost", "training_nll", "flatness", "low_pass", "feature_variance",
    "frequency_noise", "lesion", "cka",
)  # fmt: skip
"""What the claims need; a config's own options of these are kept."""


def load_plan(
    source: str | Path, changes: Sequence[str] = ()
) -> tuple[SearchConfig, ClaimsPlan]:
    """Read a config whose section ``claims`` says what is compared.

    Args:
        source: A preset or a YAML file: data, recipe, backbone and attention of the
            ResNet and the AlterNet, evaluators' options, resources, and ``claims``.
        changes: ``key.path=value`` texts, of ``claims`` too.

    Returns:
        The config with the evaluators that the claims need, and the plan.

    Raises:
        InputError: There is no such file, or a setting is not allowed.
    """
    path = PRESETS / f"{source}.yaml" if str(source) in preset_names() else Path(source)
    if not path.is_file():
        raise InputError(
            f"a config is a YAML file or a preset ({', '.join(preset_names())}); there "
            f"is no {shown(str(source))}"
        )
    data = read_yaml(path)
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise InputError(
            f"{source}: a config is a mapping of sections, got {type(data).__name__}"
        )
    data = with_changes(data, changes)
    plan = plan_from(data.pop("claims", None) or {}, str(source))
    own = data.get("evaluators") or {}
    own = own if isinstance(own, dict) else {}
    data["evaluators"] = {name: own.get(name) for name in EVALUATORS}
    for key in ("objectives", "rule", "scoring", "parent"):
        data.pop(key, None)  # of a search; a comparison has none
    return config_from_dict(data, str(source)), plan


def plan_from(data: Any, where: str) -> ClaimsPlan:
    """Check the section ``claims``.

    Args:
        data: A mapping.
        where: How messages name the source.

    Raises:
        InputError: A key is unknown or a value not allowed.
    """
    try:
        return ClaimsPlan.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(["claims", *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            known = ", ".join(ClaimsPlan.model_fields)
            raise InputError(
                f"{where}: unknown key {shown(key)}; allowed here: {known}"
            ) from error
        message = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(
            f"{where}: {key}: {message}, got {shown(first['input'])}"
        ) from error
