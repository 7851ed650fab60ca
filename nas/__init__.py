"""Which Conv blocks of a multi-stage CNN should become self-attention blocks?

Every command is a function here, and a study has its verbs:

    import nas

    study = nas.search("quickstart")      # or nas.Study("runs/quickstart")
    study.table()                         # a pandas DataFrame, one row per trial
    study.front(), study.best()           # the Pareto front, the best trial
    study.rule(), study.predict()         # where do MSAs help; what was not trained
    study.report(), study.export(to="exported")
    nas.evaluate(model, "mnist5k", ["low_pass"])  # any torch.nn.Module

Names are imported when they are first used, so that ``import nas`` is quick.
"""

TYPE_CHECKING = False  # that of `typing`, whose import takes 10 ms
if TYPE_CHECKING:
    from typing import Any

    from evaluators.registry import register_evaluator
    from nas.api.functions import (
        evaluate,
        export,
        launch_cost,
        report,
        resume,
        search,
        train,
    )
    from nas.api.study import Study
    from nas.config import Recipe, SearchConfig, load_config
    from nas.data.datasets import register_dataset
    from nas.exporting.exporter import load_export
    from nas.ledger.trial import Objective, Trial, TrialState
    from nas.pareto.front import ParetoFront
    from nas.prediction.prediction import Prediction, predict
    from nas.prediction.score_agreement import score_agreement
    from nas.rule.rule_test import RuleTest, rule_test
    from nas.scoring.scorer import Scorer
    from nas.scoring.scorers import register_scorer
    from search_spaces.kinds.block_kind import BlockKind
    from search_spaces.kinds.block_kinds import register_block_kind

_HOMES = {
    "BlockKind": "search_spaces.kinds.block_kind",
    "Objective": "nas.ledger.trial",
    "ParetoFront": "nas.pareto.front",
    "Prediction": "nas.prediction.prediction",
    "Recipe": "nas.config",
    "RuleTest": "nas.rule.rule_test",
    "Scorer": "nas.scoring.scorer",
    "SearchConfig": "nas.config",
    "Study": "nas.api.study",
    "Trial": "nas.ledger.trial",
    "TrialState": "nas.ledger.trial",
    "evaluate": "nas.api.functions",
    "export": "nas.api.functions",
    "launch_cost": "nas.api.functions",
    "load_config": "nas.config",
    "load_export": "nas.exporting.exporter",
    "predict": "nas.prediction.prediction",
    "register_block_kind": "search_spaces.kinds.block_kinds",
    "register_dataset": "nas.data.datasets",
    "register_evaluator": "evaluators.registry",
    "register_scorer": "nas.scoring.scorers",
    "report": "nas.api.functions",
    "resume": "nas.api.functions",
    "rule_test": "nas.rule.rule_test",
    "score_agreement": "nas.prediction.score_agreement",
    "search": "nas.api.functions",
    "train": "nas.api.functions",
}
"""The module of each name."""

__all__ = [
    "BlockKind",
    "Objective",
    "ParetoFront",
    "Prediction",
    "Recipe",
    "RuleTest",
    "Scorer",
    "SearchConfig",
    "Study",
    "Trial",
    "TrialState",
    "evaluate",
    "export",
    "launch_cost",
    "load_config",
    "load_export",
    "predict",
    "register_block_kind",
    "register_dataset",
    "register_evaluator",
    "register_scorer",
    "report",
    "resume",
    "rule_test",
    "score_agreement",
    "search",
    "train",
]


def __getattr__(name: str) -> "Any":
    """Import a public name when it is first used."""
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What Tab offers."""
    return sorted(__all__)
