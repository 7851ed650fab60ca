"""How well cheap scores of placements agree with what training them has measured.

Rank correlations between two studies (or tables) over the placements that both have,
beside what a perfect score would reach with so much seed noise, and beside what costs
and a count of the replaced blocks reach without any score.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from nas.prediction.trust import Ceiling, RankAgreement, noise_ceiling, rank_agreement
from nas.rule.blind_rows import without_promising
from nas.rule.checked_frame import CheckedFrame
from nas.rule.declared_metric import known_direction
from nas.rule.table_file import read_frame
from nas.study.study import Study
from search_spaces.errors import InputError

Floats = npt.NDArray[np.float64]

SCORES = "scores"
"""Directory of the scores inside the study of a search in two steps."""

SCORE_METRICS = ("accuracy", "nll", "kl_to_parent", "agreement")
"""Metrics of a score that are compared, where the first study has them."""

COSTS = ("macs", "params")
"""What is known of a placement without any score."""

COUNT = "replaced blocks"
"""The trivial predictor: how many blocks are no ``C``."""

_RESAMPLES = 1_000
"""Bootstrap samples of Spearman's rho (our choice: the ends of its interval are then
known to about 0.01)."""

_SMALLER_IS_BETTER = frozenset({"nll", "kl_to_parent"})


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Attributes:
        value: The estimate.
        low: Lower end of its 95% bootstrap interval over placements.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


@dataclass(frozen=True)
class Predictor:
    """One thing that is known without training.

    Attributes:
        name: Its name.
        is_score: Whether it is a score, else it is trivial.
        spearman: Spearman's rho; positive if better values go with better results.
        kendall: Kendall's tau-b, likewise.
    """

    name: str
    is_score: bool
    spearman: Correlation
    kendall: Correlation


@dataclass(frozen=True)
class ScoreAgreement:
    """Agreement of scores with one measured metric.

    Attributes:
        metric: What was measured.
        part: ``random``: placements that were drawn without a look at the scores;
            ``all``: all that both studies have.
        num_placements: Placements.
        num_repeated: Those of them that were trained with several seeds.
        predictors: Scores first, then what is trivial.
        ceiling: What seed noise allows a perfect score; ``None`` if too few placements
            were trained with several seeds.
    """

    metric: str
    part: str
    num_placements: int
    num_repeated: int
    predictors: tuple[Predictor, ...]
    ceiling: Ceiling | None

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        ceiling = self.ceiling
        return {
            "metric": self.metric,
            "part": self.part,
            "num_placements": self.num_placements,
            "num_repeated": self.num_repeated,
            "predictors": [
                {
                    "name": one.name,
                    "is_score": one.is_score,
                    "spearman": _plain(one.spearman),
                    "kendall": _plain(one.kendall),
                }
                for one in self.predictors
            ],
            "ceiling": None
            if ceiling is None
            else {
                "spearman": ceiling.spearman,
                "kendall": ceiling.kendall,
                "kendall_ci": [ceiling.kendall_low, ceiling.kendall_high],
            },
        }

    def sentence(self) -> str:
        """What it comes to, in one sentence."""
        scores = [one for one in self.predictors if one.is_score]
        if not scores:
            return f"no score to compare with {self.metric}"
        best = max(scores, key=lambda one: one.spearman.value)
        trivial = [one for one in self.predictors if not one.is_score]
        rival = max(trivial, key=lambda one: abs(one.spearman.value), default=None)
        text = (
            f"over {self.num_placements} placements, the score {best.name} agrees with "
            f"{self.metric} at Spearman {best.spearman}"
        )
        if rival is not None:
            text += f"; {rival.name} alone: {rival.spearman}"
        if self.ceiling is not None:
            text += f"; seed noise allows {self.ceiling.spearman:.2f}"
        return text


def score_agreement(
    study: Study | str | Path,
    scores: Study | str | Path | None = None,
    *,
    metric: str | None = None,
    part: str | None = None,
    seed: int = 0,
) -> ScoreAgreement:
    """Compare scores with what was measured.

    Args:
        study: Where placements were trained: a study or a table.
        scores: Where they were scored; ``None``: the first step of a search in two
            steps.
        metric: What was measured; a study's first objective, else ``accuracy``.
        part: ``random`` leaves out what was chosen by its score, and is what the scores
            are judged by; ``all`` takes everything. ``None``: ``random`` in a search in
            two steps, else ``all``.
        seed: Of the bootstrap.

    Returns:
        The agreement.

    Raises:
        InputError: There are no scores, no such metric, or fewer than three placements
            in common.
    """
    if part not in (None, "random", "all"):
        raise InputError(f"part is random or all, got {part!r}")
    if not isinstance(study, Study) and Path(study).is_dir():
        study = Study.open(study)
    if scores is None:
        if not isinstance(study, Study) or not (study.path / SCORES).is_dir():
            raise InputError(
                "scores are those of a search in two steps (scoring.kind two_step), or "
                "of a study or table that is named with them",
                hint="--scores STUDY|TABLE names it",
            )
        scores = study.path / SCORES
    if metric is None:
        metric = study.objectives[0].metric if isinstance(study, Study) else "accuracy"
    frame, source = _frame(study)
    kept, notes = without_promising(frame)
    if part is None:
        part = "random" if notes else "all"
    if part == "random":
        frame = kept[kept["baseline"].isna()] if "baseline" in kept else kept
    measured = _means(frame, source, metric, seeds=True)
    known, known_source = _frame(scores)
    values = {
        name: found
        for name in (*SCORE_METRICS, *COSTS)
        if name in known.columns and (found := _means(known, known_source, name))
    }
    columns = list(values)
    common = [p for p in measured if all(p in values[name] for name in columns)]
    if len(common) < 3:
        raise InputError(
            f"a rank correlation needs at least three placements that {source} and "
            f"{known_source} both have, got {len(common)}"
        )
    sign = -1.0 if _minimised(study, metric) else 1.0
    target = sign * np.array([np.mean(measured[p]) for p in common])
    candidates: dict[str, Floats] = {
        name: (-1.0 if name in _SMALLER_IS_BETTER else 1.0)
        * np.array([np.mean(values[name][p]) for p in common])
        for name in columns
    }
    candidates[COUNT] = np.array([float(sum(c not in "C-" for c in p)) for p in common])
    rng = np.random.default_rng(seed)
    groups = [np.asarray(measured[p], dtype=float) for p in common]
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in groups)
    counts = np.array([len(one) for one in groups], dtype=float)
    return ScoreAgreement(
        metric,
        part,
        len(common),
        int((counts > 1).sum()),
        tuple(
            Predictor(
                name,
                name in SCORE_METRICS,
                _spearman(column, target, rng),
                _kendall(rank_agreement(column, target, rng)),
            )
            for name, column in candidates.items()
            if np.ptp(column) > 0
        ),
        noise_ceiling(target, counts, within, int((counts - 1).sum())),
    )


def _frame(source: Study | str | Path) -> tuple[pd.DataFrame, str]:
    if not isinstance(source, Study) and Path(source).is_dir():
        source = Study.open(source)
    if isinstance(source, Study):
        return source.table(), str(source.path)
    return read_frame(Path(source)), str(source)


def _means(
    frame: pd.DataFrame, source: str, metric: str, *, seeds: bool = False
) -> Mapping[str, list[float]]:
    """Values of a metric by placement: of each run, or the mean alone."""
    checked = CheckedFrame(frame, source)
    values = checked.metric(metric)
    _, rows = checked.usable_rows([], metric)
    found: dict[str, dict[str, list[float]]] = {}
    told = zip(checked.placements(rows), checked.runs(rows), rows, strict=True)
    for placement, run, row in told:
        # a run that is told twice is one run
        runs = found.setdefault(placement, {})
        runs.setdefault(run if seeds else "", []).append(float(values[row]))
    return {
        placement: [float(np.mean(one)) for one in runs.values()]
        for placement, runs in found.items()
    }


def _minimised(study: Study | str | Path, metric: str) -> bool:
    if isinstance(study, Study):
        for objective in study.objectives:
            if objective.metric == metric:
                return not objective.maximize
        facts = study.metric_facts.get(metric)
        if facts is not None:
            return bool(facts["direction"] == "minimize")
    return metric in _SMALLER_IS_BETTER or known_direction(metric) == "minimize"


def _spearman(left: Floats, right: Floats, rng: np.random.Generator) -> Correlation:
    rows = rng.integers(0, len(left), (_RESAMPLES, len(left)))
    drawn = _of_ranks(left[rows], right[rows])
    value = float(_of_ranks(left[None], right[None])[0])
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return Correlation(value, low, high)


def _of_ranks(left: Floats, right: Floats) -> Floats:
    """Spearman's rho of each row of two ``(samples, placements)``; 0 if one is flat."""
    ranks = [stats.rankdata(side, axis=1) for side in (left, right)]
    one, other = (side - side.mean(axis=1, keepdims=True) for side in ranks)
    norm = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    covariance = (one * other).sum(axis=1)
    return np.asarray(covariance / np.where(norm > 0, norm, 1.0))


def _kendall(found: RankAgreement) -> Correlation:
    return Correlation(found.kendall, found.kendall_low, found.kendall_high)


def _plain(one: Correlation) -> dict[str, Any]:
    return {"value": one.value, "ci": [one.low, one.high]}
