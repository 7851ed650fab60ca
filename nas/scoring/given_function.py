"""A scorer made of any function, for ``nas.search(config, function=...)``."""

from nas.config import SearchConfig
from nas.scoring.scorer import Scorer
from nas.scoring.trial_run import TrialFunction
from search_spaces.spaces.space import SearchSpace


class FromFunction(Scorer):
    """Hands every run to a function of the caller's; no images are read.

    Args:
        config: Of the search; gives the space.
        function: ``TrialRun -> TrialOutcome``; runs in workers.

    Raises:
        InputError: The space does not fit the images that the config describes.
    """

    name = "function"
    can_share = True
    can_resplit = True  # the function is told the seed
    has_rungs = True

    def __init__(self, config: SearchConfig, function: TrialFunction) -> None:
        from nas.data.datasets import image_shape

        self._config = config
        self._function = function
        self._space = config.space.make(*image_shape(config.data))

    @property
    def config(self) -> SearchConfig:
        """The config."""
        return self._config

    @property
    def space(self) -> SearchSpace:
        """The whole space."""
        return self._space

    @property
    def function(self) -> TrialFunction:
        """The caller's."""
        return self._function
