"""Where the networks to be measured are, found out before torch is imported."""

from pathlib import Path

from nas.pareto.find_trial import find_trial
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
            return str(opened.trial_directory(find_trial(opened, path.name)))
    except OSError:  # longer than a path can be
        pass
    raise InputError(
        "a target is an architecture file (.yaml), an exported directory, a trial "
        f"(STUDY/trials/NUMBER or STUDY/best), or timm:NAME; got {shown(source)}"
    )
