"""The scorers by the name that a config uses."""

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from search_spaces.errors import InputError, shown

if TYPE_CHECKING:
    from nas.config import SearchConfig
    from nas.scoring.scorer import Scorer

_HOMES: dict[str, str] = {
    "scratch": "nas.scoring.scratch:FromScratch",
    "recorded": "nas.scoring.recorded:FromRecord",
    "distilled": "nas.scoring.distilled:Distilled",
    "two_step": "nas.scoring.two_step:TwoStep",
    "finetune": "nas.scoring.finetune:FineTune",
    "supernet": "nas.scoring.supernet:FromSupernet",
}
"""Where each is; imported when it is wanted, for some need torch."""

_REGISTERED: "dict[str, Callable[[SearchConfig, bool], Scorer]]" = {}


def scorer_names() -> list[str]:
    """The values that ``scoring.kind`` may have."""
    return sorted({*_HOMES, *_REGISTERED})


def register_scorer(name: str, make: "Callable[[SearchConfig, bool], Scorer]") -> None:
    """Make a scorer known to configs.

    Args:
        name: For ``scoring.kind``.
        make: Makes it from a config, and whether to be quiet.

    Raises:
        InputError: The name is taken.
    """
    if name in _HOMES or _REGISTERED.get(name, make) is not make:
        raise InputError(
            f"the scorer {name!r} is there already; taken: {', '.join(scorer_names())}"
        )
    _REGISTERED[name] = make


def make_scorer(config: "SearchConfig", quiet: bool = False) -> "Scorer":
    """The scorer that a config names.

    Args:
        config: Of a search.
        quiet: Show no progress while data are read.

    Returns:
        A scorer that has read what it needs.

    Raises:
        InputError: There is no such scorer, or it cannot do what the config asks for.
    """
    return find_scorer(config)(config, quiet)


def find_scorer(config: "SearchConfig") -> "Callable[[SearchConfig, bool], Scorer]":
    """What makes the scorer that a config names: its class, or a user's function.

    Args:
        config: Of a search.

    Raises:
        InputError: There is no such scorer.
    """
    kind = config.scoring.kind
    if (known := _REGISTERED.get(kind)) is not None:
        return known
    if kind not in _HOMES:
        raise InputError(
            f"unknown scoring.kind {shown(kind)}; there are {', '.join(scorer_names())}"
        )
    module, _, name = _HOMES[kind].partition(":")
    make: Callable[[SearchConfig, bool], Scorer] = getattr(
        importlib.import_module(module), name
    )
    return make


def check_no_options(config: "SearchConfig", allowed: tuple[str, ...] = ()) -> None:
    """Refuse keys of the section ``scoring`` that its kind does not know.

    Args:
        config: Of a search.
        allowed: The keys that the kind knows besides ``kind``.

    Raises:
        InputError: There is another one.
    """
    for key in config.scoring.options:
        if key not in allowed:
            known = ", ".join(("kind", *allowed))
            raise InputError(
                f"unknown key 'scoring.{key}'; allowed for kind "
                f"{config.scoring.kind}: {known}"
            )
