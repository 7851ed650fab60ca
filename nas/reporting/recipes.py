"""The architecture file of every trial: one text for all that differ in placement."""

from collections.abc import Sequence
from typing import Any

import yaml

from nas.ledger.trial import Trial

HOLE = "@PLACEMENT@"
"""Stands for the placement; no placement can be written so."""

MAX_TEXT = 1_000_000
"""Characters of all texts together, above which none are kept (our choice): where
nearly every trial has a text of its own, copying is left to `nas show` and export."""


def architecture_texts(trials: Sequence[Trial]) -> dict[str, Any]:
    """The ``alternet/1`` texts, with a hole for the placement.

    Args:
        trials: The trials.

    Returns:
        ``texts``, and ``of``: which of them each trial has, -1 for none.
    """
    texts: dict[str, int] = {}
    keys: dict[str, int] = {}
    of = []
    for trial in trials:
        if not trial.architecture:
            of.append(-1)
            continue
        data = {**trial.architecture, "placement": HOLE}
        key = repr(data)  # quicker than YAML: most trials have a text that is known
        if key not in keys:
            text = yaml.safe_dump(
                data, sort_keys=False, default_flow_style=None, width=88
            )
            keys[key] = texts.setdefault(text, len(texts))
        of.append(keys[key])
    if sum(map(len, texts)) > MAX_TEXT:
        return {"texts": [], "of": []}
    return {"texts": list(texts), "of": of}
