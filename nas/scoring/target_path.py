"""Where the networks and images of a measurement are, found out without torch."""

from collections.abc import Sequence
from pathlib import Path

from nas.config import Recipe, load_config, read_config
from nas.config.names import DATA_SETS
from nas.exporting.format import RECIPE
from nas.pareto.find_trial import find_trial
from nas.study.layout import StudyLayout
from nas.study.study import Study
from nas.study_path import CONFIG_FILE, find_study
from search_spaces.errors import InputError, shown
from search_spaces.parents.network_name import is_network


def find_target(source: str) -> str:
    """Check that a target is there, and resolve ``best`` and ``latest``.

    Args:
        source: A network by name (``timm:NAME``, ``vit``), an architecture file, a
            directory with one, or a trial: ``STUDY/trials/NUMBER`` or ``STUDY/NUMBER``,
            with ``best`` or ``latest`` for the number and, in the second form, any name
            of a study.

    Returns:
        The target by its path.

    Raises:
        InputError: There is no such target.
    """
    if is_network(source):
        return source
    path = Path(source)
    try:
        if path.is_file() and path.suffix in (".yaml", ".yml"):
            return source
        if (path / "architecture.yaml").is_file():
            return source
        parent = path.parent
        study = find_study(parent.parent if parent.name == "trials" else parent)
        if path.name and (study / CONFIG_FILE).is_file():
            opened = Study.open(study)
            number = opened.trial(find_trial(opened, path.name)).number
            return str(opened.trial_directory(number))
    except OSError:  # longer than a path can be
        pass
    raise InputError(
        "a target is an architecture file (.yaml), an exported directory, a trial "
        f"(STUDY/trials/NUMBER or STUDY/best), or timm:NAME; got {shown(source)}"
    )


def study_of(targets: Sequence[str]) -> Path | None:
    """The study that the first target is a trial of, if it is one.

    Args:
        targets: What the user wrote.

    Returns:
        The study's directory, ``None`` for other targets.
    """
    if not targets:
        return None
    study = StudyLayout.of_trial(Path(targets[0]).resolve())
    return None if study is None else study.path


def are_own_images(
    data: str | None, targets: Sequence[str], overrides: Sequence[str]
) -> bool:
    """Whether networks are measured on images that they were split from themselves.

    Args:
        data: What the user named, as for :func:`data_recipe`.
        targets: What is measured.
        overrides: ``key.path=value`` texts.
    """
    if any(override.startswith("data.") for override in overrides):
        return False
    return data is None or Path(data).resolve() == study_of(targets)


def data_recipe(
    data: str | None, targets: Sequence[str], overrides: Sequence[str]
) -> Recipe:
    """Find out which images and which recipe a measurement refers to.

    Images that are not there are refused before torch is imported.

    Args:
        data: Name of a data set, preset, config file or study; ``None``: the study
            of the first target, or the recipe in the export that it is, else the
            default data set.
        targets: What is measured.
        overrides: ``key.path=value`` texts.

    Returns:
        The recipe.

    Raises:
        InputError: There is no such source, an override is wrong, or the images are
            not there.
    """
    source: str | Path = "quickstart"
    changes = list(overrides)
    export = Path(targets[0]) / RECIPE if targets else None
    if data in DATA_SETS:
        changes = [f"data.name={data}", *changes]
    elif data is not None:
        source = data
    elif (study := study_of(targets)) is not None:
        source = study
    elif export is not None and export.is_file():
        source = export
    else:
        changes = ["data.name=mnist5k", *changes]
    images = read_config(source, changes).data
    if source == export and images.name == "imagefolder" and images.root is None:
        raise InputError(
            f"{targets[0]} was trained on images in directories, which an "
            "export does not hold; say where they are",
            hint="--set data.root=DIR, or --data STUDY",
        )
    images.check_there()
    config = load_config(source, changes).recipe()
    if source == export:  # it is that of one target, each is measured on its own split
        images = config.data.model_copy(update={"resplit_seed": None})
        config = config.model_copy(update={"data": images})
    return config
