"""What the trials of a study depend on, as the ledger recorded it at the start.

A config.yaml that was edited in between must not mix trials of two searches: what a
metric or a placement means would change from one row to the next.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from search_spaces.errors import InputError

NOTE = "settings"
"""Under which name the ledger keeps them."""

_SECTIONS = (
    "seed", "objectives", "space", "data", "training", "evaluators", "parent",
    "scoring",
)  # fmt: skip
_OF_SEARCH = (
    "sampler", "options", "replicates", "replicate_first", "randomise", "baselines",
    "fidelity",
)  # fmt: skip
_BEFORE = {"randomise": ["seed"]}
"""What settings of ``search`` were before a version knew them."""
_FREE = {"data": ("root", "download", "cache"), "scoring": ("path",)}
"""Where images and supernets are may change: that they are the same is seen by the
pixels, and by what a supernet's file says of its making."""


def settings_to_record(
    settings: Mapping[str, Any], data_fingerprint: str | None
) -> dict[str, Any]:
    """The part of a configuration that must stay as it is.

    Args:
        settings: Every setting, as ``SearchConfig.to_dict`` gives it.
        data_fingerprint: Of the pixels and labels; ``None`` if there are none.
    """
    found = {name: settings[name] for name in _SECTIONS if name in settings}
    for name, free in _FREE.items():
        if name in found:
            kept = {k: v for k, v in found[name].items() if k not in free}
            found = {**found, name: kept}
    search = settings.get("search", {})
    found["search"] = {name: search[name] for name in _OF_SEARCH if name in search}
    found["data_fingerprint"] = data_fingerprint
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def check_unchanged(recorded: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse to go on with settings that are not those of the trials before.

    Args:
        recorded: What the ledger has.
        now: The same of config.yaml and the images of today.

    Raises:
        InputError: They differ; says where. Settings that only one of the two
            versions of this package knows are not compared.
    """
    search = {**_BEFORE, **recorded.get("search", {})}
    changes = list(_changes("", {**recorded, "search": search}, now))
    if changes:
        raise InputError(
            "a study keeps the settings that its trials depend on, but since it began "
            f"{'; '.join(changes[:3])}; put them back, or start another study"
        )


def _changes(path: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in before:
            if name in after:
                below = f"{path}.{name}" if path else name
                yield from _changes(below, before[name], after[name])
    elif before != after and not (
        path == "data_fingerprint" and None in (before, after)
    ):
        what = "the images" if path == "data_fingerprint" else path
        yield f"{what} changed from {_short(before)} to {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
