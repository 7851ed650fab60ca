"""Whether the paths of a command line are there, asked before torch is imported.

A wrong path is the commonest mistake, and importing torch takes seconds. What is
inside the files is looked at later, by those who read them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from nas.study_path import find_study
from search_spaces.errors import InputError, did_you_mean

PRESETS = Path(__file__).parent.parent / "presets"


def check_config(source: str) -> None:
    """Refuse a config that is nowhere.

    Args:
        source: Name of a preset, or path of a YAML file or of a study.

    Raises:
        InputError: There is no such thing.
    """
    presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if source in presets:
        return
    kinds = f"a YAML file, a study directory or a preset ({', '.join(presets)})"
    found = find_study(source)
    if not found.exists():
        raise InputError(
            f"a config is {kinds}; there is no {source!r}",
            hint=did_you_mean(source, presets),
        )
    if found.is_dir() and not (found / "config.yaml").exists():
        raise InputError(
            f"a config is {kinds}; {source!r} is another directory",
            hint=f"of images? nas init {source} writes a config for them",
        )


def check_images(source: str, changes: Sequence[str]) -> None:
    """Refuse a config whose images are not where it says.

    Args:
        source: Name of a preset, or path of a YAML file or of a study.
        changes: ``key.path=value`` texts.

    Raises:
        InputError: They are not, or the config cannot be read.
    """
    from nas.config import read_config

    check_config(source)
    read_config(source, changes).data.check_there()


def check_architectures(paths: Iterable[str]) -> None:
    """Refuse architecture files that are not there.

    Args:
        paths: What the user wrote.

    Raises:
        InputError: There is no such file or directory.
    """
    for path in paths:
        if not Path(path).exists():
            raise InputError(
                "an architecture file must be readable: "
                f"{path}: No such file or directory"
            )
