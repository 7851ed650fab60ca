"""The trained network of a trial, whatever scored it.

A trial that was trained has weights of its own. One of scorer ``distilled`` has none:
its network is the parent with blocks of the study's library, put together again.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from nas.config import SearchConfig
from nas.exporting.trial_network import TrialNetwork, network_of_weights
from nas.ledger.trial import Trial
from nas.scoring.distilled import DEFAULT_IMAGES
from nas.scoring.finetune import FineTune, FineTuneOptions
from nas.scoring.parent_search import network_of
from nas.scoring.parent_space import parent_config
from nas.scoring.replacement import Replacement, replacement_option
from nas.study.layout import TrialLayout
from search_spaces.parents.network_files import check_may_run

if TYPE_CHECKING:
    from nas.data.datasets import Dataset
    from nas.study.study import Study


def trial_network(
    study: "Study", trial: Trial, dataset: "Dataset", plugins: Collection[str] = ()
) -> TrialNetwork:
    """The network that a trial's metrics are about.

    Args:
        study: The study.
        trial: A complete trial of it.
        dataset: Its images.
        plugins: Modules of the user whose functions may build a parent.

    Returns:
        The network, and how it came about.

    Raises:
        InputError: Weights are missing or do not fit; the parent or its library is not
            what it was.
    """
    config = study.config
    options = config.scoring.options
    weights = TrialLayout(study.trial_directory(trial.number)).weights
    if trial.scorer == FineTune.name:
        found = network_of_weights(study, trial, dataset, plugins)
        fine_tuned = FineTuneOptions.of(config)
        made = f"{_origin(config, fine_tuned.replacement)}, fine-tuned as a whole"
        return replace(found, made=made, training=fine_tuned.recipe(config.training))
    if weights.is_file() or config.scoring.kind != "distilled":
        return network_of_weights(study, trial, dataset, plugins)
    source = parent_config(config).model
    if source is not None:
        check_may_run(source, plugins)
    replacement = replacement_option(options.get("replacement", "library"))
    network = network_of(
        study.architecture(trial.number),
        config,
        dataset,
        study.path,
        _fingerprint(study),
        replacement,
        seed=config.seed,
    )
    made = (
        f"{_origin(config, replacement)} (scorer distilled); it was not trained further"
    )
    return TrialNetwork(network, int(options.get("images", DEFAULT_IMAGES)), made)


def _origin(config: SearchConfig, replacement: Replacement) -> str:
    source = parent_config(config).model or "of the study"
    blocks = "blocks of its library" if replacement == "library" else "drawn blocks"
    return f"the trained parent {source} with {blocks} in other slots"


def _fingerprint(study: "Study") -> str | None:
    """Of the parent; not known before the search where that has trained it."""
    recorded = study.header.get("parent")
    return None if recorded is None else str(recorded)
