"""The kinds of search spaces, by the name that a config file uses."""

from search_spaces.spaces.free_space import FreeSpace
from search_spaces.spaces.per_stage_count_space import PerStageCountSpace
from search_spaces.spaces.space import SearchSpace

KINDS: dict[str, type[SearchSpace]] = {
    "free": FreeSpace,
    "per_stage_count": PerStageCountSpace,
}
