"""The config file of a search: every setting, its default, and where that is from.

Unknown keys are errors that list the known ones. ``load_config`` takes a preset's
name or a YAML file and ``key.path=value`` overrides; ``with_plugins`` imports the
modules that a config names.
"""

from nas.config.completion import with_plugins
from nas.config.data import DataConfig
from nas.config.loading import (
    PRESETS,
    config_from_dict,
    load_config,
    preset_names,
    read_config,
)
from nas.config.parent import LibraryConfig, ParentConfig
from nas.config.recipe import Recipe
from nas.config.rule import RuleConfig
from nas.config.running import (
    FidelityConfig,
    ResourcesConfig,
    SamplingConfig,
    TrackingConfig,
)
from nas.config.scoring import ScoringConfig
from nas.config.search_config import SearchConfig
from nas.config.space import SpaceConfig
from nas.config.training import PAPER_RECIPE, TrainingConfig

__all__ = [
    "PAPER_RECIPE",
    "PRESETS",
    "DataConfig",
    "FidelityConfig",
    "LibraryConfig",
    "ParentConfig",
    "Recipe",
    "ResourcesConfig",
    "RuleConfig",
    "SamplingConfig",
    "ScoringConfig",
    "SearchConfig",
    "SpaceConfig",
    "TrackingConfig",
    "TrainingConfig",
    "config_from_dict",
    "load_config",
    "preset_names",
    "read_config",
    "with_plugins",
]
