"""Whether the paths of a command line are there, asked before torch is imported.

A wrong path is the commonest mistake, and importing torch takes seconds. What is
inside the files is looked at later, by those who read them.
"""

from collections.abc import Iterable
from pathlib import Path

from search_spaces.errors import InputError

PRESETS = Path(__file__).parent.parent / "presets"


def check_targets(targets: Iterable[str]) -> None:
    """Refuse targets of `nas evaluate` that are nowhere.

    Args:
        targets: What the user wrote.

    Raises:
        InputError: One is neither ``timm:NAME`` nor a file or directory that is there.
    """
    for target in targets:
        if not target.startswith("timm:") and not Path(target).exists():
            raise InputError(
                "a target is an architecture file (.yaml), a directory that "
                "`nas export` wrote, a directory STUDY/trials/NUMBER, or timm:NAME; "
                f"there is no {target!r}"
            )


def check_config(source: str) -> None:
    """Refuse a config that is nowhere.

    Args:
        source: Name of a preset, or path of a YAML file or of a study.

    Raises:
        InputError: There is no such thing.
    """
    presets = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    if source not in presets and not Path(source).exists():
        raise InputError(
            "a config is a YAML file, a study directory or a preset "
            f"({', '.join(presets)}); there is no {source!r}"
        )


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
