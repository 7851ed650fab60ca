"""How a search runs: config, data, training, Ray and Optuna, studies, the rule.

``nas.search(config)`` does what ``nas search`` does; ``nas.Study.open(path)`` reads
what it left. Names are imported when they are used, so that ``import nas`` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.config import SearchConfig, load_config
    from nas.export.exporter import load_export
    from nas.ledger.trial import Objective, Trial, TrialState
    from nas.pareto.front import ParetoFront
    from nas.prediction.prediction import Prediction, predict
    from nas.rule.rule_test import RuleTest
    from nas.search_run import resume, search
    from nas.study.study import Study
    from nas.train import train_architectures

_HOMES = {
    "Objective": "nas.ledger.trial",
    "ParetoFront": "nas.pareto.front",
    "Prediction": "nas.prediction.prediction",
    "RuleTest": "nas.rule.rule_test",
    "SearchConfig": "nas.config",
    "Study": "nas.study.study",
    "Trial": "nas.ledger.trial",
    "TrialState": "nas.ledger.trial",
    "load_config": "nas.config",
    "load_export": "nas.export.exporter",
    "predict": "nas.prediction.prediction",
    "resume": "nas.search_run",
    "search": "nas.search_run",
    "train_architectures": "nas.train",
}

__all__ = [
    "Objective",
    "ParetoFront",
    "Prediction",
    "RuleTest",
    "SearchConfig",
    "Study",
    "Trial",
    "TrialState",
    "load_config",
    "load_export",
    "predict",
    "resume",
    "search",
    "train_architectures",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
