"""The trained network of a trial, whatever scored it.

A trial that was trained has weights of its own. One of scorer ``distilled`` has none:
its network is the parent with blocks of the study's library, put together again.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.exporting.formats import load_weights
from nas.exporting.trial_network import TrialNetwork
from nas.ledger.trial import Trial
from nas.scoring.block_library import LIBRARY_FILE, BlockLibrary, Key, name_of
from nas.scoring.distilled import DEFAULT_IMAGES
from nas.scoring.library_fitting import made_of
from nas.study.layout import TrialLayout
from search_spaces.architecture import Architecture
from search_spaces.errors import InputError
from search_spaces.parents.build_network import check_may_run
from search_spaces.parents.load_parent import load_parent
from search_spaces.parents.parent import Parent

if TYPE_CHECKING:
    from nas.study.study import Study


def trial_network(
    study: "Study", trial: Trial, plugins: Collection[str] = ()
) -> TrialNetwork:
    """The network that a trial's metrics are about.

    Args:
        study: The study.
        trial: A complete trial of it.
        plugins: Modules of the user whose functions may build a parent.

    Returns:
        The network, and how it came about.

    Raises:
        InputError: Weights are missing or do not fit; the parent or its library is not
            what it was.
    """
    architecture = study.architecture(trial.number)
    weights = TrialLayout(study.trial_directory(trial.number)).weights
    if weights.is_file() or study.config.scoring.kind != "distilled":
        return TrialNetwork(load_weights(architecture, weights, plugins))
    parent = study_parent(study, architecture, plugins)
    blocks = _library_blocks(study, parent, architecture)
    options = study.config.scoring.options
    images = int(options.get("images", DEFAULT_IMAGES))
    made = (
        f"the trained parent {parent.source} with blocks of its library in other slots "
        "(scorer distilled); it was not trained further"
    )
    network: Any = parent.network(architecture, blocks)
    return TrialNetwork(network, images, made)


def study_parent(
    study: "Study", architecture: Architecture, plugins: Collection[str] = ()
) -> Parent:
    """The parent of a study with its weights.

    Args:
        study: Its config has a section ``parent``.
        architecture: Of one of its trials.
        plugins: Modules of the user whose functions may build a parent.

    Raises:
        InputError: There is none, or it has other weights than in the search.
    """
    wanted = study.config.parent
    if wanted is None:
        raise InputError(
            f"placements of {study.name!r} are made of a parent, and its config has "
            "no section parent"
        )
    check_may_run(wanted.model, plugins)
    parent = load_parent(
        wanted.model,
        num_classes=architecture.num_classes,
        in_channels=architecture.in_channels,
        image_size=architecture.image_size,
        weights=wanted.weights,
        pretrained=wanted.pretrained,
        slots=wanted.slots,
    )
    recorded = study.header.get("parent")
    if recorded is not None and recorded != parent.fingerprint:
        raise InputError(
            f"the parent must have the weights of the search (fingerprint {recorded}); "
            f"{parent.source} now has others ({parent.fingerprint})"
        )
    return parent


def _library_blocks(
    study: "Study", parent: Parent, architecture: Architecture
) -> dict[Key, Any]:
    wanted = {
        (spec.stage, spec.block, spec.letter): spec
        for spec in architecture.block_specs
        if spec.letter != "C"
    }
    if not wanted:
        return {}
    assert study.config.parent is not None
    settings = study.config.parent.library
    directory = Path(settings.path or study.path / "library")
    made = {key: made_of(spec, settings, study.config) for key, spec in wanted.items()}
    if not (directory / LIBRARY_FILE).is_file():
        raise InputError(
            f"the network is put together from the block library of the search; there "
            f"is none in {directory}"
        )
    library = BlockLibrary.load(directory, parent, wanted, made)
    lacking = [name_of(key) for key in wanted if key not in library.blocks]
    if lacking:
        raise InputError(
            f"the block library must be the one of the search; {directory} has no "
            f"{', '.join(lacking)} that was fitted with its settings"
        )
    return dict(library.blocks)
